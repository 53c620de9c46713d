terraform {
  required_providers {
    coder = {
      source = "coder/coder"
    }
  }
}

data "coder_workspace" "me" {}

data "coder_workspace_owner" "me" {}

data "coder_parameter" "greeting" {
  name         = "greeting"
  display_name = "Greeting"
  description  = "What the workspace says when it starts. May be changed at every start."
  type         = "string"
  default      = "Hello"
  mutable      = true
}

data "coder_parameter" "size" {
  name         = "size"
  display_name = "Size"
  description  = "How much work a start does. Fixed when the workspace is created."
  type         = "string"
  default      = "small"
  mutable      = false

  option {
    name  = "Small"
    value = "small"
  }
  option {
    name  = "Large"
    value = "large"
  }
}

locals {
  steps = data.coder_parameter.size.value == "large" ? 8 : 4
}

resource "coder_agent" "main" {
  os   = "linux"
  arch = "amd64"
}

resource "coder_app" "docs" {
  agent_id     = coder_agent.main.id
  slug         = "docs"
  display_name = "Documentation"
  url          = "http://localhost:8080"
}

# Stands in for the machine: exists while the workspace runs, gone when it stops.
resource "terraform_data" "machine" {
  count = data.coder_workspace.me.start_count
  input = "${data.coder_workspace_owner.me.name}/${data.coder_workspace.me.name}"

  provisioner "local-exec" {
    environment = {
      GREETING  = data.coder_parameter.greeting.value
      OWNER     = data.coder_workspace_owner.me.name
      WORKSPACE = data.coder_workspace.me.name
      STEPS     = local.steps
    }
    command = <<-EOT
      echo "$GREETING, $OWNER"
      for step in $(seq "$STEPS"); do
        echo "preparing $WORKSPACE: step $step of $STEPS"
        sleep 0.5
      done
    EOT
  }
}

output "machine" {
  value = one(terraform_data.machine[*].output)
}
