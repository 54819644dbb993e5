//! Candles at rest: Parquet layout, catalogue, readers, synthetic candles.
