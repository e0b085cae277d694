"""Row ledgers of queries: statements that count where each input's rows went."""
