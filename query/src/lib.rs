//! SQL over results and candles.
