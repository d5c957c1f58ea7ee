"""`python -m deploy.contracts`: write the contract files."""

from rich.console import Console

from deploy.contracts.files import write

console = Console()
for path in write():
    console.print(f"wrote deploy/contracts/{path}")
