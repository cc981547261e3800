import subprocess
import sys

import mlmarket.evaluation


def test_what_is_public_is_listed_in_order_and_exists():
    names = mlmarket.evaluation.__all__
    assert names == sorted(names)
    assert all(getattr(mlmarket.evaluation, name).__doc__ for name in names)


def test_importing_the_package_draws_in_no_plotting_and_no_learning_library():
    code = (
        "import sys, mlmarket.evaluation\n"
        "heavy = {'matplotlib', 'sklearn', 'pandas', 'scipy.stats', 'lightgbm', 'ibis'}\n"
        "sys.exit(' '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.stderr == ""
    assert run.returncode == 0
