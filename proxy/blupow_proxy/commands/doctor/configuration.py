"""The configuration: whether it is right, and who can read the secrets in it."""

import shlex
import stat
from collections.abc import Mapping
from pathlib import Path

from blupow_config import SECRETS_FILE, ConfigErrors, ProxyConfig, load_config, secrets_exposed

from .finding import Finding, fine, wrong


def check_configuration(
    file: Path, substitutions: Mapping[str, str] | None = None
) -> tuple[ProxyConfig | None, list[Finding]]:
    """Return the configuration in ``file``, None when it has mistakes, and what is to be said of it."""
    try:
        config = load_config(file, substitutions)
    except ConfigErrors as errors:
        return None, [wrong("configuration", str(error)) for error in errors.errors]
    units = f"{len(config.renogy)} unit{'s' * (len(config.renogy) != 1)}"
    findings = [fine("configuration", f"{file} is right, with {units}")]
    exposed = [file.parent / SECRETS_FILE] if secrets_exposed(file) else []
    key_is_in_it = config.api.key is not None and ("api", "encryption", "key") not in config.secret_paths
    if key_is_in_it and file.stat().st_mode & stat.S_IROTH:
        exposed.append(file)
    if exposed:
        names = shlex.join(map(str, exposed))
        findings.append(wrong("secrets", f"other users of this machine can read them: chmod o-r {names}"))
    return config, findings
