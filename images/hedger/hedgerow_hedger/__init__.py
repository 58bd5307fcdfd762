"""The hedger: the programs in the kernel, their links and attachments, and what the orchestrator asks of them."""
