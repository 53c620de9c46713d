"""The launcher's account: the first user of a deployment that it made, through coderctl."""

import os
import subprocess

from deploy.local import services
from tools.dev import say

EMAIL = "admin@example.com"
USERNAME = "admin"
# The name of its generated password among the data directory's secrets.
PASSWORD = "admin password"


class Account:
    """Runs coderctl with a configuration folder of its own."""

    def __init__(self, data, address):
        self._data = data
        self._url = f"http://{address}"

    def command(self, *arguments):
        """A coderctl command line that acts as this account."""
        return [str(services.coderctl()), f"--config-dir={self._data.coderctl}", f"--url={self._url}", *arguments]

    def _run(self, *arguments, environment=None):
        done = subprocess.run(self.command(*arguments), env=dict(os.environ, **(environment or {})),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0:
            raise say.Problem(f"coderctl {arguments[0]} failed:\n{done.stderr.rstrip()}")
        return done.stdout.strip()

    def log_in(self):
        """Logs in, unless a session still holds; creates the first user of a new deployment."""
        session = self._data.coderctl / "session.json"
        if session.exists() and subprocess.run(self.command("whoami"), stdin=subprocess.DEVNULL,
                                               capture_output=True).returncode == 0:
            return
        self._run("login", self._url, f"--email={EMAIL}", f"--username={USERNAME}",
                  environment={"CODER_PASSWORD": self._data.secret(PASSWORD)})

    def ensure_provisioner_key(self):
        """Makes the key of the local provisioner daemon once."""
        if not self._data.provisioner_key.exists():
            key = self._run("provisioners", "keys", "create", "local")
            self._data.write_private(self._data.provisioner_key, key + "\n")

    def ensure_token(self):
        """Makes the API token of the box once."""
        if not self._data.api_token.exists():
            token = self._run("tokens", "create", "local", "--lifetime-hours=8760")
            self._data.write_private(self._data.api_token, token + "\n")
