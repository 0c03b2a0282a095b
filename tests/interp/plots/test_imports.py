import subprocess
import sys


def test_drawing_needs_neither_torch_nor_plotly_express() -> None:
    code = (
        "import sys; import interp.plots, interp.plots.circuitsvis, interp.report;"
        "bad = {'torch', 'transformer_lens', 'circuitsvis', 'plotly.express'} & set(sys.modules);"
        "sys.exit(str(bad) if bad else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
