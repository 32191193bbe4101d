"""Items come in order from another thread, which is never far ahead and tells its errors."""

import threading

import pytest

from doatrack.training.prefetch import ahead


def test_order_and_change():
    assert list(ahead(range(50), lambda k: k * k)) == [k * k for k in range(50)]
    assert list(ahead([])) == []


def test_it_is_made_elsewhere_and_only_a_few_ahead():
    made, here = [], threading.get_ident()

    def items():
        for k in range(20):
            assert threading.get_ident() != here
            made.append(k)
            yield k

    batches = ahead(items(), count=2)
    assert next(batches) == 0
    assert len(made) <= 5
    batches.close()  # the thread ends with it
    assert len(made) < 20


def test_an_error_comes_after_what_was_made_before():
    def items():
        yield 1
        raise OSError("the disk is gone")

    batches = ahead(items())
    assert next(batches) == 1
    with pytest.raises(OSError, match="the disk is gone"):
        next(batches)
