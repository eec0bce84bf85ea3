"""Features -> queries of a mesh head."""

from handzoo.models.query_heads.learned import LearnedQueries
from handzoo.models.query_heads.mhf import MHF
from handzoo.models.query_heads.template import TemplateQueries

__all__ = ["LearnedQueries", "MHF", "TemplateQueries"]
