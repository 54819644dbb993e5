//! What is asked: the BacktestJob manifest, validation, parameter grid, quote.
