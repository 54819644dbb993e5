// Candles with the trades of one trial. Only what is in view is drawn, and never more than fits: beyond that, candles are
// put together honestly (first open, highest high, lowest low, last close) and the note says how many make one.
window.blockgridCandles = (data, ui) => {
  'use strict';
  const chart = document.getElementById('c-candles');
  const note = document.getElementById('candles-note');
  const caption = document.getElementById('candles-trade');
  const buttons = [...document.querySelectorAll('[data-view]')];
  let trial = null;   // the embedded trial
  let selected = -1;  // index of a trade, or -1 for all
  let view = null;    // [from, to] in milliseconds
  let timer = 0;

  const times = new Map();
  const unpack = (series) => {
    if (!times.has(series)) {
      let at = series.t0;
      times.set(series, series.t.map((step) => (at += step * series.step)));
    }
    return times.get(series);
  };

  // The finest series that covers the view.
  const seriesFor = ([from, to]) => {
    const inside = trial.details.map((i) => data.series[i]).find((series) => {
      const t = unpack(series);
      return t[0] <= from && t[t.length - 1] >= to;
    });
    return inside || data.series[trial.series];
  };

  // Candles of a round length, where one fits: 12h rather than 11h.
  const minute = 60000;
  const lengths = [1, 2, 3, 5, 10, 15, 30, 60, 120, 180, 240, 360, 480, 720, 1440, 2880, 4320, 10080, 20160, 40320].map((n) => n * minute);
  const niceFactor = (step, least) => {
    const length = least > 1 && lengths.find((ms) => ms >= least * step && ms % step === 0);
    return length ? length / step : least;
  };

  const aggregate = (series, from, to, most) => {
    const t = unpack(series);
    let start = 0;
    while (start < t.length && t[start] < from - series.step * series.factor) start += 1;
    let end = t.length;
    while (end > start && t[end - 1] > to) end -= 1;
    const factor = niceFactor(series.factor * series.step, Math.max(1, Math.ceil((end - start) / most)));
    const span = factor * series.factor * series.step;
    const out = { x: [], open: [], high: [], low: [], close: [], factor: factor * series.factor };
    let bucket = null;
    for (let i = start; i < end; i += 1) {
      const key = Math.floor(t[i] / span);
      const last = out.x.length - 1;
      if (factor > 1 && key === bucket) {
        out.high[last] = Math.max(out.high[last], series.h[i]);
        out.low[last] = Math.min(out.low[last], series.l[i]);
        out.close[last] = series.c[i];
      } else {
        bucket = key;
        out.x.push(t[i]);
        out.open.push(series.o[i]);
        out.high.push(series.h[i]);
        out.low.push(series.l[i]);
        out.close.push(series.c[i]);
      }
    }
    return out;
  };

  const endOf = (i) => {
    const { trades } = trial;
    return trades.exitTime[i] === null ? trades.entryTime[i] + trades.bars[i] * trial.step : trades.exitTime[i];
  };

  // Trades in view; of too many, the largest.
  const visible = ([from, to]) => {
    const { trades } = trial;
    let found = trades.number.map((_, i) => i).filter((i) => trades.entryTime[i] <= to && endOf(i) >= from);
    const total = found.length;
    if (total > 300) {
      found = [...found].sort((a, b) => Math.abs(trades.pnl[b]) - Math.abs(trades.pnl[a])).slice(0, 300).sort((a, b) => a - b);
    }
    return { found, total };
  };

  const describe = (i) => {
    const { trades } = trial;
    const result = `${trades.pnl[i] < 0 ? 'loss' : 'profit'} ${ui.money(trades.pnl[i])} (${ui.percent(trades.return[i])})`;
    const exit = trades.exitTime[i] === null ? 'still open' : `${trades.exitReason[i]} ${ui.time(trades.exitTime[i])} at ${ui.price(trades.exitPrice[i])}`;
    return `Trade ${trades.number[i]}, ${trades.direction[i]}: ${trades.entryReason[i]} ${ui.time(trades.entryTime[i])} at ${ui.price(trades.entryPrice[i])}, ${exit}; ${result}`;
  };

  const markers = (found, colours) => {
    const { trades } = trial;
    const closed = found.filter((i) => trades.exitTime[i] !== null);
    const gain = (i) => (trades.pnl[i] < 0 ? colours.loss : colours.gain);
    const hover = (i, side) => {
      const price = ui.price(trades[`${side}Price`][i]);
      const outcome = side === 'exit' || trades.exitTime[i] === null
        ? `<br>profit ${ui.money(trades.pnl[i])} (${ui.percent(trades.return[i])})` : '';
      return `<b>${side} ${trades.direction[i]} #${trades.number[i]}</b><br>${ui.time(trades[`${side}Time`][i])}` +
        `<br>${trades[`${side}Reason`][i]} at ${price}${outcome}`;
    };
    const path = { x: [], y: [] };
    closed.forEach((i) => {
      path.x.push(trades.entryTime[i], trades.exitTime[i], null);
      path.y.push(trades.entryPrice[i], trades.exitPrice[i], null);
    });
    const points = (list, side, symbol, colour, name) => ({
      type: 'scatter', mode: 'markers', name, x: list.map((i) => trades[`${side}Time`][i]), y: list.map((i) => trades[`${side}Price`][i]),
      text: list.map((i) => hover(i, side)), hovertemplate: '%{text}<extra></extra>',
      marker: { opacity: 1, symbol: list.map(symbol), size: list.map((i) => (i === selected ? 15 : 10)), color: list.map(colour), line: { width: 1.2, color: colours.page } },
    });
    return [
      { type: 'scatter', mode: 'lines', x: path.x, y: path.y, hoverinfo: 'skip', showlegend: false, line: { width: 1, dash: 'dot', color: colours.soft } },
      points(found, 'entry', (i) => (trades.direction[i] === 'long' ? 'triangle-up' : 'triangle-down'), () => colours.text, 'Entry (up: long, down: short)'),
      points(closed, 'exit', () => 'x', gain, 'Exit (blue: profit, orange: loss)'),
    ];
  };

  const draw = () => {
    const colours = ui.colours();
    const series = seriesFor(view);
    const candles = aggregate(series, view[0], view[1], ui.narrow() ? 100 : 220);
    const { found, total } = visible(view);
    // A candle is drawn over the time it lasts, so that a fill stands at its own moment: at the open on the left edge.
    const half = candles.factor * series.step / 2;
    const hover = candles.x.map((at, i) => `${ui.time(at)}<br>open ${ui.price(candles.open[i])}<br>high ${ui.price(candles.high[i])}` +
      `<br>low ${ui.price(candles.low[i])}<br>close ${ui.price(candles.close[i])}`);
    const trace = {
      type: 'candlestick', name: 'Candles', showlegend: false, text: hover, hoverinfo: 'text', x: candles.x.map((at) => at + half), open: candles.open, high: candles.high, low: candles.low, close: candles.close,
      increasing: { line: { color: colours.hold, width: 1 }, fillcolor: colours.page },
      decreasing: { line: { color: colours.hold, width: 1 }, fillcolor: colours.hold },
    };
    const levels = [...candles.low, ...candles.high];
    found.forEach((i) => [trial.trades.entryPrice[i], trial.trades.exitPrice[i]].forEach((p) => p !== null && levels.push(p)));
    const low = levels.reduce((a, b) => Math.min(a, b), Infinity);
    const high = levels.reduce((a, b) => Math.max(a, b), -Infinity);
    const pad = (high - low) * 0.06 || high * 0.01 || 1;
    const layout = ui.layout({
      xaxis: { type: 'date', range: view.slice(), rangeslider: { visible: false } },
      yaxis: { range: [low - pad, high + pad], tickformat: ',~f' },
      hovermode: 'closest', showlegend: true,
    });
    window.Plotly.react(chart, [trace, ...markers(found, colours)], layout, ui.config());
    const unit = ui.interval(candles.factor * series.step);
    const parts = [candles.factor > 1 ? `Each candle is ${unit}, put together from ${candles.factor} bars of ${ui.interval(series.step)}.` : `Each candle is one bar of ${unit}.`];
    if (series.factor > 1) parts.push(`The report holds ${ui.interval(series.factor * series.step)} candles; single bars only around the largest win and loss.`);
    if (found.length < total) parts.push(`${found.length} of ${total} trades in view are marked, the largest ones.`);
    if (trial.trades.number.length < trial.traded) parts.push(`The report holds ${trial.trades.number.length} of ${trial.traded} trades.`);
    note.textContent = parts.join(' ');
    caption.textContent = selected >= 0 ? describe(selected) : trial.trades.number.length ? 'All bars of the account.' : 'This trial did not trade.';
    const pressed = selected < 0 ? 'all' : selected === trial.win ? 'win' : selected === trial.loss ? 'loss' : '';
    buttons.forEach((button) => {
      const { view: kind } = button.dataset;
      if (kind === 'win' || kind === 'loss') button.disabled = trial[kind] === null;
      if (kind === 'previous' || kind === 'next') button.disabled = trial.trades.number.length === 0;
      else button.setAttribute('aria-pressed', String(kind === pressed));
    });
  };

  const showAll = () => {
    const t = unpack(data.series[trial.series]);
    selected = -1;
    view = t.length ? [t[0], t[t.length - 1] + trial.step] : [0, 1];
    draw();
  };

  const showTrade = (i) => {
    const { trades } = trial;
    const length = endOf(i) - trades.entryTime[i];
    const pad = Math.max(30 * trial.step, length * 0.6);
    selected = i;
    view = [trades.entryTime[i] - pad, endOf(i) + pad];
    draw();
  };

  const open = () => {
    if (trial.win !== null) showTrade(trial.win);
    else if (trial.loss !== null) showTrade(trial.loss);
    else showAll();
  };

  buttons.forEach((button) => button.addEventListener('click', () => {
    const count = trial.trades.number.length;
    const { view: kind } = button.dataset;
    if (kind === 'all') showAll();
    else if (kind === 'previous') showTrade(selected < 0 ? count - 1 : Math.max(0, selected - 1));
    else if (kind === 'next') showTrade(selected < 0 ? 0 : Math.min(count - 1, selected + 1));
    else showTrade(trial[kind]);
  }));

  const parse = (value) => {
    if (typeof value === 'number') return value;
    const text = String(value).replace(' ', 'T');
    return Date.parse(text.includes('T') ? `${text}Z` : `${text}T00:00Z`);
  };

  let listening = false;
  const listen = () => {
    if (listening) return;
    listening = true;
    chart.on('plotly_relayout', (change) => {
      if (change['xaxis.autorange']) {
        showAll();
        return;
      }
      if (change['xaxis.range[0]'] === undefined) return;
      view = [parse(change['xaxis.range[0]']), parse(change['xaxis.range[1]'])];
      clearTimeout(timer);
      timer = setTimeout(draw, 60);
    });
  };

  return {
    select: (chosen) => { trial = chosen; open(); listen(); },
    redraw: () => trial && draw(),
    show: (i) => { showTrade(i); chart.scrollIntoView({ block: 'center' }); },
  };
};
