"""How fast, how frugal and how reliable tinylog is, beside what people use instead. Start with README.md."""
