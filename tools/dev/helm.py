"""`./dev helm`: renders the chart, or makes anew what is derived from it."""

import subprocess

import yaml

from tests.helm import chart
from tools.dev import bazel, chart_values, go_tools, places, say


def _read_options():
    """Asks each built binary for its options."""
    bazel.build([f"//services/{name}" for name in chart_values.COMPONENTS.values()])
    lines = ["# The options of each binary, read from its --help by `./dev helm --update`."]
    for name in chart_values.COMPONENTS.values():
        text = subprocess.run([places.built() / "services" / name / name, "--help"], stdout=subprocess.PIPE, text=True,
                              check=True).stdout
        lines += [f"{name}:"] + [f"  - {option}" for option in chart_values.option_names(text)]
    return "\n".join(lines) + "\n"


def _write(path, text):
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
        say.note(f"wrote {path.relative_to(places.ROOT)}")


def _update(keep_options):
    if not keep_options:
        _write(chart.TESTS / "options.yaml", _read_options())
    for path, text in chart.generated().items():
        _write(places.ROOT / path, text)
    helm = chart.Helm(go_tools.ensure("helm"))
    for case in chart.CASES:
        _write(chart.TESTS / "golden" / f"{case}.yaml", helm.case(case))
    helm.close()


def run(arguments):
    """Prints a case, or updates."""
    if arguments.update:
        _update(arguments.keep_options)
        return 0
    if arguments.case not in chart.CASES:
        raise say.Problem(f"there is no case {arguments.case}; there are {', '.join(chart.CASES)}")
    helm = chart.Helm(go_tools.ensure("helm"))
    try:
        print(helm.case(arguments.case), end="")
    except (chart.Refused, yaml.YAMLError) as problem:
        raise say.Problem(str(problem)) from None
    finally:
        helm.close()
    return 0
