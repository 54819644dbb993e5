// Draws the charts from the JSON in #data and wires the controls. No framework, nothing fetched.
(() => {
  'use strict';
  const data = JSON.parse(document.getElementById('data').textContent);
  const $ = (id) => document.getElementById(id);

  // ---- How things look -------------------------------------------------------------------------------------------
  const root = document.documentElement;
  const media = window.matchMedia('(prefers-color-scheme: dark)');
  const isDark = () => (root.dataset.theme ? root.dataset.theme === 'dark' : media.matches);
  const colours = () => {
    const style = getComputedStyle(root);
    const get = (name) => style.getPropertyValue(`--${name}`).trim();
    return Object.fromEntries(['page', 'panel', 'line', 'text', 'soft', 'gain', 'loss', 'mid', 'hold'].map((name) => [name, get(name)]));
  };
  const narrow = () => window.innerWidth <= 640;

  const number = (digits) => new Intl.NumberFormat('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const two = number(2);
  const whole = number(0);
  const significant = new Intl.NumberFormat('en-US', { maximumSignificantDigits: 7 });
  const money = (v) => two.format(v);
  const percent = (v) => `${two.format(v * 100)}%`;
  const price = (v) => (v === null ? '-' : significant.format(v));
  const time = (ms) => (ms === null ? '-' : new Date(ms).toISOString().slice(0, 16).replace('T', ' '));
  const units = { fraction: percent, ratio: money, quote: money, count: (v) => whole.format(v) };
  const shown = (metric, v) => (v === null ? 'undefined' : units[metric.unit](v));
  const title = (id) => id.replace(/_/g, ' ');
  // Names come from files; plotly reads some tags in text.
  const plain = (text) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
  const interval = (ms) => {
    const [size, name] = [[604800000, 'w'], [86400000, 'd'], [3600000, 'h'], [60000, 'm'], [1000, 's']].find(([unit]) => ms % unit === 0) || [1, 'ms'];
    return `${ms / size}${name}`;
  };

  const layout = (extra) => {
    const c = colours();
    const axis = { gridcolor: c.line, linecolor: c.line, zerolinecolor: c.line, tickcolor: c.line, automargin: true, fixedrange: false };
    const out = {
      paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)',
      font: { family: 'system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif', size: narrow() ? 11 : 12, color: c.text },
      margin: { l: narrow() ? 44 : 60, r: narrow() ? 8 : 16, t: 34, b: 40 },
      hoverlabel: { bgcolor: c.panel, bordercolor: c.line, font: { color: c.text }, align: 'left' },
      legend: { orientation: 'h', x: 0, xanchor: 'left', y: 1, yanchor: 'bottom', bgcolor: 'rgba(0,0,0,0)' },
      modebar: { bgcolor: 'rgba(0,0,0,0)', color: c.soft, activecolor: c.text },
      dragmode: narrow() ? false : 'zoom', autosize: true, ...extra,
    };
    Object.keys(out).filter((key) => /^[xy]axis/.test(key)).forEach((key) => { out[key] = { ...axis, ...out[key] }; });
    return out;
  };
  const config = () => ({
    responsive: true, displaylogo: false, displayModeBar: narrow() ? false : 'hover', scrollZoom: false, doubleClick: 'reset',
    modeBarButtonsToRemove: ['select2d', 'lasso2d', 'autoScale2d', 'toggleSpikelines'],
  });
  const ui = { colours, narrow, money, percent, price, time, interval, layout, config };

  // ---- Across the parameters -------------------------------------------------------------------------------------
  const { grid } = data;
  const options = (select, entries, chosen) => {
    select.replaceChildren(...entries.map(([value, label]) => new Option(label, value, false, String(value) === String(chosen))));
  };
  const hide = (id, hidden) => { $(`l-${id}`).hidden = hidden; };

  const setUpGrid = () => {
    const byCount = grid.axes.map((_, i) => i).sort((a, b) => grid.axes[b].values.length - grid.axes[a].values.length || a - b);
    // The two richest parameters, in the order of the manifest.
    const [x, y] = byCount.slice(0, 2).sort((a, b) => a - b);
    const names = grid.axes.map((axis, i) => [i, axis.name]);
    options($('g-metric'), grid.metrics.map((metric, i) => [i, title(metric.id)]), 0);
    const every = grid.axes.length === 1 && grid.runs.length > 1 ? [[-1, 'all']] : [];
    options($('g-run'), [...every, ...grid.runs.map((run, i) => [i, run])], every.length ? -1 : grid.best.run);
    options($('g-x'), names, x);
    options($('g-y'), names, y);
    options($('g-rest'), [['fixed', 'as in the best trial'], ...(grid.complete ? [['best', 'best of them'], ['median', 'median of them']] : [])], 'fixed');
    hide('g-run', grid.runs.length < 2);
    hide('g-x', grid.axes.length < 3);
    hide('g-y', grid.axes.length < 3);
    hide('g-rest', grid.axes.length < 3);
    ['g-metric', 'g-run', 'g-rest'].forEach((id) => $(id).addEventListener('change', drawGrid));
    // The same parameter on both axes makes no map: the other axis takes the one given up.
    let before = { 'g-x': String(x), 'g-y': String(y) };
    ['g-x', 'g-y'].forEach((id) => $(id).addEventListener('change', () => {
      const other = id === 'g-x' ? 'g-y' : 'g-x';
      if ($(id).value === $(other).value) $(other).value = before[id];
      before = { 'g-x': $('g-x').value, 'g-y': $('g-y').value };
      drawGrid();
    }));
  };

  const better = (metric) => (metric.id === grid.objective ? grid.goal : metric.better || 1);
  const summarise = (values, how, metric) => {
    const known = values.filter((v) => v !== null).sort((a, b) => a - b);
    if (!known.length) return null;
    if (how === 'median') return known.length % 2 ? known[(known.length - 1) / 2] : (known[known.length / 2 - 1] + known[known.length / 2]) / 2;
    return better(metric) > 0 ? known[known.length - 1] : known[0];
  };

  // Values of one metric by cell; `null` is undefined, a missing key was not tried.
  const cells = (axes, metric, run) => {
    const how = $('g-rest').value;
    const rest = grid.axes.map((_, i) => i).filter((i) => !axes.includes(i));
    const found = new Map();
    grid.run.forEach((of, row) => {
      if (of !== run) return;
      if (how === 'fixed' && rest.some((i) => grid.at[i][row] !== grid.best.at[i])) return;
      const key = axes.map((i) => grid.at[i][row]).join();
      if (!found.has(key)) found.set(key, []);
      found.get(key).push(grid.values[metric][row]);
    });
    return new Map([...found].map(([key, values]) => [key, summarise(values, how, grid.metrics[metric])]));
  };

  // Blue is better, orange is worse, parted by zero; one colour where the metric has one sign.
  // Where less is better the two change places.
  const scale = (values, metric) => {
    const c = colours();
    if (better(metric) < 0) [c.gain, c.loss] = [c.loss, c.gain];
    const low = Math.min(...values);
    const high = Math.max(...values);
    if (low < 0 && high > 0) {
      const most = Math.max(-low, high);
      return { zmin: -most, zmax: most, colorscale: [[0, c.loss], [0.5, c.mid], [1, c.gain]] };
    }
    if (high <= 0 && low < 0) return { zmin: low, zmax: high, colorscale: [[0, c.loss], [1, c.mid]] };
    return { zmin: low, zmax: high === low ? low + 1 : high, colorscale: [[0, c.mid], [1, c.gain]] };
  };
  const tickFormat = (metric) => ({ fraction: ',.1~%', count: ',~d', ratio: ',.3~f', quote: ',.4~s' }[metric.unit]);

  const drawMap = (x, y, at, run) => {
    const c = colours();
    const metric = grid.metrics[at];
    const found = cells([x, y], at, run);
    const [across, up] = [grid.axes[x], grid.axes[y]];
    const cell = (i, j) => found.get(`${i},${j}`);
    const z = up.values.map((_, j) => across.values.map((__, i) => (cell(i, j) === undefined ? null : cell(i, j))));
    const text = up.values.map((_, j) => across.values.map((__, i) => (cell(i, j) === undefined ? 'not tried' : shown(metric, cell(i, j)))));
    const values = z.flat().filter((v) => v !== null);
    const map = {
      type: 'heatmap', x: across.values.map((_, i) => i), y: up.values.map((_, j) => j), z, text, xgap: 1, ygap: 1,
      customdata: up.values.map((b) => across.values.map((a) => [plain(a), plain(b)])), hoverongaps: false,
      hovertemplate: `${plain(across.name)} %{customdata[0]}<br>${plain(up.name)} %{customdata[1]}<br>${title(metric.id)} <b>%{text}</b><extra></extra>`,
      colorbar: { thickness: 12, outlinewidth: 0, tickformat: tickFormat(metric), len: 1, title: { text: '' } },
      ...scale(values.length ? values : [0], metric),
    };
    const best = {
      type: 'scatter', mode: 'markers', x: [grid.best.at[x]], y: [grid.best.at[y]], hoverinfo: 'skip', showlegend: false,
      marker: { symbol: 'circle-open', size: 15, color: c.text, line: { width: 2.5 } },
    };
    const ticks = (axis) => {
      const every = Math.ceil(axis.values.length / (narrow() ? 8 : 20));
      const places = axis.values.map((_, i) => i).filter((i) => i % every === 0);
      return { tickmode: 'array', tickvals: places, ticktext: places.map((i) => plain(axis.values[i])), showgrid: false, zeroline: false, title: { text: plain(axis.name) }, range: [-0.5, axis.values.length - 0.5] };
    };
    const traces = run === grid.best.run ? [map, best] : [map];
    window.Plotly.react($('c-grid'), traces, layout({ xaxis: ticks(across), yaxis: ticks(up), margin: { l: 60, r: 8, t: narrow() ? 8 : 32, b: 48 } }), config());
    const others = grid.axes.map((_, i) => i).filter((i) => i !== x && i !== y);
    const fixed = others.map((i) => `${grid.axes[i].name}=${grid.axes[i].values[grid.best.at[i]]}`).join(', ');
    const how = { fixed: `Other parameters as in the best trial: ${fixed}.`, best: 'Other parameters: the best of them in each cell.', median: 'Other parameters: the median over them in each cell.' };
    const parts = [others.length ? how[$('g-rest').value] : '', run === grid.best.run ? 'The ring marks the best trial.' : '', 'Empty cells were not tried or are undefined.',
      'A broad field of good values is worth more than one bright cell.'];
    $('grid-note').textContent = parts.filter(Boolean).join(' ');
  };

  const drawLine = (at, run) => {
    const c = colours();
    const metric = grid.metrics[at];
    const [axis] = grid.axes;
    const runs = run < 0 ? grid.runs.map((_, i) => i) : [run];
    const palette = [c.gain, c.loss, c.hold, '#2a9d8f', '#b5639f', '#9c8b1e'];
    const dashes = ['solid', 'dash', 'dot', 'dashdot'];
    const traces = runs.slice(0, 24).map((i, n) => {
      const found = cells([0], at, i);
      const y = axis.values.map((_, k) => { const v = found.get(String(k)); return v === undefined ? null : v; });
      return {
        type: 'scatter', mode: axis.values.length > 60 ? 'lines' : 'lines+markers', name: plain(grid.runs[i]), x: axis.values.map(Number), y, text: y.map((v) => shown(metric, v)),
        line: { color: palette[n % palette.length], dash: dashes[Math.floor(n / palette.length) % 4], width: 2 }, marker: { size: 6 },
        hovertemplate: `${plain(axis.name)} %{x}<br>${title(metric.id)} <b>%{text}</b><extra>${runs.length > 1 ? plain(grid.runs[i]) : ''}</extra>`,
      };
    });
    const value = cells([0], at, grid.best.run).get(String(grid.best.at[0]));
    if (value !== undefined && runs.includes(grid.best.run)) {
      traces.push({ type: 'scatter', mode: 'markers', x: [Number(axis.values[grid.best.at[0]])], y: [value], hoverinfo: 'skip', showlegend: false, marker: { symbol: 'circle-open', size: 16, color: c.text, line: { width: 2.5 } } });
    }
    window.Plotly.react($('c-grid'), traces, layout({ xaxis: { title: { text: plain(axis.name) } }, yaxis: { title: { text: title(metric.id) }, tickformat: tickFormat(metric) }, showlegend: runs.length > 1 }), config());
    $('grid-note').textContent = `The ring marks the best trial.${runs.length > 24 ? ' The first 24 symbols are drawn.' : ''}`;
  };

  function drawGrid() {
    const at = Number($('g-metric').value);
    const run = Number($('g-run').value);
    if (grid.axes.length === 1) drawLine(at, run);
    else drawMap(Number($('g-x').value), Number($('g-y').value), at, run);
    if (!grid.complete) $('grid-note').textContent += ' The grid is large: the report holds the trials that differ from the best one in at most two parameters.';
    if (grid.dropped) $('grid-note').textContent += ` ${whole.format(grid.dropped)} more do not fit; query trials.parquet for all.`;
  }

  // ---- Equity ----------------------------------------------------------------------------------------------------
  let trial = null;
  const drawEquity = () => {
    $('c-equity').hidden = trial.bars === 0;
    if (trial.bars === 0) {
      $('equity-note').textContent = 'This trial was never warm: it has no account to draw.';
      return;
    }
    const c = colours();
    let at = trial.t0;
    const x = trial.t.map((step) => (at += step * trial.step));
    let peak = trial.cash;
    const drawdown = trial.equity.map((v) => { peak = Math.max(peak, v); return v / peak - 1; });
    const line = (y, name, colour, extra) => ({
      type: 'scatter', mode: 'lines', x, y, name, line: { color: colour, width: 1.6 }, hovertemplate: '%{y:,.2f}', ...extra,
    });
    const traces = [
      line(trial.hold, 'Buy and hold', c.hold, { legendrank: 1001, line: { color: c.hold, width: 1.3, dash: 'dot' } }),
      line(trial.equity, 'Strategy', c.gain),
      line(drawdown, 'Drawdown', c.loss, { legendrank: 1002, yaxis: 'y2', fill: 'tozeroy', line: { color: c.loss, width: 1 }, hovertemplate: '%{y:.2%}' }),
    ];
    window.Plotly.react($('c-equity'), traces, layout({
      xaxis: { type: 'date', anchor: 'y2', hoverformat: '%Y-%m-%d %H:%M' },
      yaxis: { domain: [0.34, 1], tickformat: ',~f', title: { text: narrow() ? '' : 'Account' } },
      yaxis2: { domain: [0, 0.27], tickformat: '.0%', title: { text: narrow() ? '' : 'Drawdown' }, rangemode: 'tozero', nticks: 4 },
      hovermode: 'x unified',
    }), config());
    const parts = [`Marked at the close of each bar (UTC), from ${money(trial.cash)}; buy and hold starts at the first close and pays nothing.`];
    if (trial.thinned) parts.push(`${whole.format(trial.t.length)} of ${whole.format(trial.bars)} bars are drawn: of each stretch the lowest, the highest and the last.`);
    $('equity-note').textContent = parts.join(' ');
  };

  // ---- Trades ----------------------------------------------------------------------------------------------------
  let candles = null;
  const fillTrades = () => {
    const { trades } = trial;
    const columns = [
      ['#', (i) => String(trades.number[i]), true], ['Side', (i) => trades.direction[i]], ['Entry (UTC)', (i) => time(trades.entryTime[i])],
      ['Price', (i) => price(trades.entryPrice[i]), true], ['Reason', (i) => trades.entryReason[i]],
      ['Exit (UTC)', (i) => (trades.exitTime[i] === null ? 'open' : time(trades.exitTime[i]))], ['Price', (i) => price(trades.exitPrice[i]), true],
      ['Reason', (i) => trades.exitReason[i] || '-'], ['Profit', (i) => money(trades.pnl[i]), true], ['Return', (i) => percent(trades.return[i]), true],
      ['Bars', (i) => whole.format(trades.bars[i]), true], ['Fees', (i) => money(trades.fees[i]), true],
    ];
    const element = (name, text, numeric) => {
      const out = document.createElement(name);
      out.textContent = text;
      if (numeric) out.className = 'n';
      return out;
    };
    const head = document.createElement('tr');
    head.append(...columns.map(([name, , numeric]) => { const th = element('th', name, numeric); th.scope = 'col'; return th; }));
    const body = document.createElement('tbody');
    trades.number.slice(0, 500).forEach((_, i) => {
      const row = document.createElement('tr');
      columns.forEach(([name, value, numeric], k) => {
        const cell = element('td', k ? value(i) : '', numeric);
        if (k === 0) {
          const button = element('button', value(i));
          button.type = 'button';
          button.setAttribute('aria-label', `Show trade ${value(i)} on the candles`);
          button.addEventListener('click', () => candles.show(i));
          cell.append(button);
        }
        if (name === 'Profit' || name === 'Return') cell.classList.add(trades.pnl[i] < 0 ? 'pnl-loss' : 'pnl-gain');
        row.append(cell);
      });
      body.append(row);
    });
    const table = document.createElement('table');
    const thead = document.createElement('thead');
    thead.append(head);
    table.append(thead, body);
    $('trades').replaceChildren(table);
    const count = trial.traded;
    $('trades').hidden = count === 0;
    $('trades-note').textContent = count === 0 ? 'This trial did not trade.'
      : `${count > 500 ? `The first 500 of ${whole.format(count)} trades` : `${whole.format(count)} trade${count === 1 ? '' : 's'}`} of the trial chosen above, after fees. Press a number to see it on the candles.`;
  };

  const selectTrial = (i) => {
    trial = data.trials[i];
    document.querySelectorAll('[data-trial]').forEach((part) => { part.hidden = part.dataset.trial !== String(i); });
    drawEquity();
    candles.select(trial);
    fillTrades();
  };

  // ---- Sorting ---------------------------------------------------------------------------------------------------
  document.querySelectorAll('table.sortable').forEach((table) => {
    const headings = [...table.querySelectorAll('th')];
    headings.forEach((heading, column) => heading.querySelector('button').addEventListener('click', () => {
      const key = (row) => { const cell = row.cells[column]; return cell.dataset.v === undefined ? cell.textContent : cell.dataset.v === '' ? null : Number(cell.dataset.v); };
      const numeric = heading.classList.contains('n');
      // Numbers start with the highest, names and the rank with the lowest.
      const first = numeric && column > 0 ? 'descending' : 'ascending';
      const now = heading.getAttribute('aria-sort');
      const next = !now ? first : now === 'ascending' ? 'descending' : 'ascending';
      headings.forEach((other) => other.removeAttribute('aria-sort'));
      heading.setAttribute('aria-sort', next);
      const sign = next === 'ascending' ? 1 : -1;
      const compare = (a, b) => (a === null || b === null ? (a === null) - (b === null) : sign * (numeric ? a - b : a.localeCompare(b, 'en')));
      const [body] = table.tBodies;
      body.append(...[...body.rows].map((row) => [key(row), row]).sort((a, b) => compare(a[0], b[0])).map(([, row]) => row));
    }));
  });

  // ---- Light and dark, print, width --------------------------------------------------------------------------------
  const redraw = () => {
    $('theme').textContent = isDark() ? 'Light' : 'Dark';
    if (grid) drawGrid();
    if (trial) { drawEquity(); candles.redraw(); }
  };
  $('theme').addEventListener('click', () => { root.dataset.theme = isDark() ? 'light' : 'dark'; redraw(); });
  media.addEventListener('change', redraw);
  let theme = null;
  window.addEventListener('beforeprint', () => { theme = root.dataset.theme || ''; root.dataset.theme = 'light'; redraw(); });
  window.addEventListener('afterprint', () => { if (theme) root.dataset.theme = theme; else delete root.dataset.theme; redraw(); });
  let wasNarrow = narrow();
  window.addEventListener('resize', () => { if (wasNarrow !== narrow()) { wasNarrow = narrow(); redraw(); } });

  if (grid) setUpGrid();
  if (data.trials.length) {
    candles = window.blockgridCandles(data, ui);
    $('trial').addEventListener('change', (event) => selectTrial(Number(event.target.value)));
    selectTrial(0);
  }
  redraw();
})();
