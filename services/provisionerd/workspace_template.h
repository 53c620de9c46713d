#pragma once

namespace coder::provisionerd {

// A template with one of everything that an import and a build read; for tests.
inline constexpr char kTemplate[] = R"tf(
terraform {
  required_providers {
    coder = { source = "coder/coder" }
  }
}
variable "greeting" {
  default     = "hi"
  description = "What to say"
}
variable "limit" {
  type    = number
  default = 3
}
data "coder_workspace" "me" {}
data "coder_workspace_owner" "me" {}
data "coder_workspace_tags" "tags" {
  tags = { cluster = "dev" }
}
data "coder_parameter" "size" {
  name    = "size"
  type    = "number"
  default = 2
  mutable = true
  order   = 2
  validation {
    min       = 1
    max       = 5
    monotonic = "increasing"
  }
}
data "coder_parameter" "name" {
  name = "name"
  type = "string"
}
data "coder_parameter" "region" {
  name         = "region"
  display_name = "Region"
  description  = "Where"
  icon         = "/map.png"
  default      = "eu"
  order        = 1
  option {
    name  = "Europe"
    value = "eu"
    icon  = "/eu.png"
  }
  option {
    name        = "US"
    value       = "us"
    description = "Over there"
  }
}
locals {
  script = coder_agent.main.init_script
}
resource "coder_agent" "main" {
  os   = "linux"
  arch = "amd64"
  env  = { A = "b" }
  metadata {
    key          = "cpu"
    display_name = "CPU"
    script       = "nproc"
    interval     = 5
    timeout      = 1
  }
}
resource "coder_app" "web" {
  agent_id = coder_agent.main.id
  slug     = "web"
  url      = "http://localhost:1"
  healthcheck {
    url       = "http://localhost:1/health"
    interval  = 5
    threshold = 6
  }
}
resource "coder_script" "hello" {
  agent_id     = coder_agent.main.id
  display_name = "Hello"
  script       = "echo hello"
  run_on_start = true
}
resource "coder_env" "editor" {
  agent_id = coder_agent.main.id
  name     = "EDITOR"
  value    = "vi"
}
resource "terraform_data" "disk" {
  input = data.coder_workspace.me.name
}
resource "terraform_data" "box" {
  count = data.coder_workspace.me.start_count
  input = [local.script, coder_agent.main.token, terraform_data.disk.id]
  provisioner "local-exec" {
    command = "echo size is $SIZE for $OWNER; env"
    environment = {
      SIZE  = data.coder_parameter.size.value
      OWNER = data.coder_workspace_owner.me.name
    }
  }
}
resource "coder_metadata" "box" {
  count       = data.coder_workspace.me.start_count
  resource_id = terraform_data.box[0].id
  daily_cost  = 3
  icon        = "/box.png"
  item {
    key   = "region"
    value = data.coder_parameter.region.value
  }
}
)tf";

}  // namespace coder::provisionerd
