"""Withdrawal: find everything of one participant under a dataset's root, delete it, and prove that it is gone.

Recordings, labels, drafts and truth go with their folders; rows of tables, entries of lists and JSON are taken out;
exports that hold their samples are deleted whole, since they can be made again. Afterwards every file that is left is
read through for the pseudonym, the sequences' names and their content hashes.
"""

from hoi_core.sequence.withdraw.delete import Certificate, check_certificate_path, withdraw
from hoi_core.sequence.withdraw.find import Holding, Holdings, holdings

__all__ = ["Certificate", "Holding", "Holdings", "check_certificate_path", "holdings", "withdraw"]
