"""A cluster that is there already: used as it is, and only where that is asked for in so many words."""

import base64
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import binaries, pki
from tests.cluster.api import Kubectl
from tests.cluster.cache import CannotRunError, Say

YES = "PERBENCH_USE_KUBECONFIG"
"""`yes`: run the tests on the cluster of $KUBECONFIG. They create and delete things there."""


@dataclass(frozen=True)
class ExistingCluster:
    """A running cluster of somebody's, with an administrator's kubeconfig. It has the images that its owner loaded."""

    kubectl: Kubectl
    folder: Path
    """Of the tests, for kubeconfigs."""
    collects_garbage: bool = True

    @property
    def kubeconfig(self) -> Path:
        """Of the administrator."""
        return self.kubectl.kubeconfig

    def kubeconfig_for(self, user: str, *groups: str) -> Path:
        """A kubeconfig of any user in any groups, by a certificate that the cluster signs on request for an hour."""
        name = f"perbench-{re.sub(r'[^a-z0-9]', '-', user.lower())}-{secrets.token_hex(3)}"
        key, path = self.folder / f"{name}.key", self.folder / f"{name}.kubeconfig"
        request = pki.signing_request(key, user, groups)
        signer = "kubernetes.io/kube-apiserver-client"
        spec = {"signerName": signer, "usages": ["client auth"], "expirationSeconds": 3600}
        self.kubectl.apply(
            {
                "apiVersion": "certificates.k8s.io/v1",
                "kind": "CertificateSigningRequest",
                "metadata": {"name": name},
                "spec": {**spec, "request": base64.b64encode(request.encode()).decode()},
            }
        )
        try:
            self.kubectl("certificate", "approve", name)
            self.kubectl("wait", f"csr/{name}", "--for=jsonpath={.status.certificate}", "--timeout=120s")
            certificate = self.folder / f"{name}.crt"
            certificate.write_bytes(base64.b64decode(self.kubectl.get("csr", name)["status"]["certificate"]))
        finally:
            self.kubectl("delete", "csr", name)
        path.touch(mode=0o600)
        path.write_text(self.kubectl("config", "view", "--minify", "--flatten"))
        other = self.kubectl.as_user(path)
        credentials = (f"--client-certificate={certificate}", f"--client-key={key}", "--embed-certs")
        other("config", "set-credentials", "perbench-user", *credentials)
        other("config", "set-context", "--current", "--user=perbench-user")
        return path


def asked_for() -> bool:
    """Whether the tests are to run on a cluster that is there."""
    return os.environ.get(YES) == "yes"


def attach(folder: Path, say: Say) -> ExistingCluster:
    """The cluster of $KUBECONFIG. Raises CannotRunError."""
    kubeconfig = os.environ.get("KUBECONFIG")
    if not kubeconfig or not Path(kubeconfig).is_file():
        raise CannotRunError(f"{YES}=yes, but KUBECONFIG={kubeconfig or ''} names no file")
    kubectl = Kubectl(binaries.build(("kubectl",), say) / "kubectl", Path(kubeconfig).absolute(), cache=folder)
    done = kubectl.run("get", "--raw=/readyz")
    if done.returncode:
        raise CannotRunError(f"the cluster of KUBECONFIG={kubeconfig} does not answer: {done.stderr.strip()}")
    return ExistingCluster(kubectl, folder)
