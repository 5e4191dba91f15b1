"""Messages between processes: their structures, frames and codec. `messages.py` has it all."""
