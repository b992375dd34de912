"""Where things lie in the repository."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
CASES = DATA / "cases"  # real files of users, and what they should be read as
FOX = DATA / "quick_brown_fox.json"  # the published example of Bedrock's documentation
