"""Finds the command (environment variable MUTILS, else the release build) and silences the originals."""

import warnings

import helpers
import pytest
import torch

warnings.filterwarnings("ignore")


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes more than a few seconds")
    config.addinivalue_line("filterwarnings", "ignore")


def pytest_collection_modifyitems(items):
    if not helpers.MUTILS.is_file():
        pytest.exit(f"no command at {helpers.MUTILS}: build it, or set MUTILS", returncode=2)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)
