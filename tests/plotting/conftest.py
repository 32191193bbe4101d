import matplotlib.pyplot as plt
import pytest
from matplotlib.figure import Figure


@pytest.fixture
def figure():
    """A figure outside of pyplot: nothing global is touched."""
    return Figure()


@pytest.fixture
def pyplot():
    """pyplot drawing into memory, put back as it was."""
    before = plt.get_backend()
    plt.switch_backend("agg")
    yield plt
    plt.close("all")
    plt.switch_backend(before)
