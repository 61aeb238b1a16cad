"""What was applied, remembered. Knows addresses and values; knows no spec and no plan."""
