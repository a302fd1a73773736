// Looks at the built page in a real browser: both themes, 360 and 1440 px, keyboard, a hostile name.
//
//   cargo build -p srwan-portal --example recorded && node --experimental-websocket ui/browser.mjs [FOLDER]
//
// Needs `chromium` (Debian: apt install chromium) and `npm ci`. Fails on a finding of axe, a console error, a policy violation, a request to anywhere
// else, a page wider than the window, or a name that became markup. Writes its pictures to FOLDER.

import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';

const ROOT = join(import.meta.dirname, '../../..');
const PORTAL = process.env.SRWAN_RECORDED ?? join(ROOT, 'target/debug/examples/recorded');
const FIXTURE = join(import.meta.dirname, '../tests/fixture');
const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--hide-scrollbars', '--remote-debugging-port=0', 'about:blank',
];
const AXE = readFileSync(join(import.meta.dirname, 'node_modules/axe-core/axe.min.js'), 'utf8');
const HOSTILE = '<img src=x onerror="document.title=\'owned\'">';
const scratch = mkdtempSync(join(tmpdir(), 'srwan-browser-'));
const pictures = process.argv[2] ?? join(scratch, 'pictures');
mkdirSync(pictures, { recursive: true });
const findings = [];
const children = [];

function start(command, args) {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  children.push(child);
  return child;
}

async function firstLine(stream, pattern) {
  for await (const line of createInterface({ input: stream })) {
    const match = pattern.exec(line);
    if (match) return match[0];
  }
  throw new Error(`no line like ${pattern}`);
}

/** The recorded router with names that try to be markup. */
function hostileFixture() {
  const folder = join(scratch, 'hostile');
  cpSync(FIXTURE, folder, { recursive: true });
  for (const part of ['status', 'matrix', 'paths', 'wallet', 'events']) {
    const file = join(folder, `${part}.json`);
    const swap = (key, value) =>
      typeof value === 'string' && /^(name|city|text|sentence|endpoint|rule|what|why|fix|reason|country)$/.test(key)
        ? `${value} ${HOSTILE}` : value;
    writeFileSync(file, JSON.stringify(JSON.parse(readFileSync(file, 'utf8'), swap)));
  }
  return folder;
}

/** One tab, spoken to in the DevTools protocol. */
async function openTab(port) {
  const target = await (await fetch(`http://127.0.0.1:${port}/json/new?about:blank`, { method: 'PUT' })).json();
  const socket = new WebSocket(target.webSocketDebuggerUrl);
  await new Promise((resolve) => (socket.onopen = resolve));
  const waiting = new Map();
  let id = 0;
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.id) waiting.get(message.id)?.(message.result ?? message.error);
    else watch(message.method, message.params);
  };
  const call = (method, params = {}) => new Promise((resolve) => {
    waiting.set((id += 1), resolve);
    socket.send(JSON.stringify({ id, method, params }));
  });
  for (const domain of ['Page', 'Runtime', 'Network', 'Log']) await call(`${domain}.enable`);
  return { call, eval: async (code) => (await call('Runtime.evaluate', { expression: code })).result?.value };
}

function watch(method, params) {
  if (method === 'Runtime.exceptionThrown') findings.push(`exception: ${params.exceptionDetails.exception?.description}`);
  if (method === 'Runtime.consoleAPICalled' && params.type === 'error') findings.push('console.error was called');
  if (method === 'Log.entryAdded' && params.entry.level === 'error') findings.push(`${params.entry.text} ${params.entry.url ?? ''}`);
  if (method === 'Network.requestWillBeSent' && !/^(http:\/\/127\.0\.0\.1|about:|data:)/.test(params.request.url)) {
    findings.push(`request to ${params.request.url}`);
  }
}

async function press(tab, key, code) {
  for (const type of ['keyDown', 'keyUp']) {
    await tab.call('Input.dispatchKeyEvent', { type, key, code: key, windowsVirtualKeyCode: code });
  }
}

async function look(tab, name, width, theme) {
  const features = [{ name: 'prefers-color-scheme', value: theme }];
  await tab.call('Emulation.setEmulatedMedia', { features });
  await tab.call('Emulation.setDeviceMetricsOverride', {
    width, height: width < 500 ? 780 : 900, deviceScaleFactor: width < 500 ? 2 : 1, mobile: width < 500,
  });
  await wait(600);
  const wide = await tab.eval('document.documentElement.scrollWidth - document.documentElement.clientWidth');
  if (wide > 0) findings.push(`${name}: ${wide} px wider than ${width}`);
  for (const finding of await audit(tab)) findings.push(`${name} ${width} ${theme}: ${finding}`);
  const { data } = await tab.call('Page.captureScreenshot', { format: 'png', captureBeyondViewport: true });
  writeFileSync(join(pictures, `${name}-${width}-${theme}.png`), Buffer.from(data, 'base64'));
}

/** Accessibility rules that the page breaks, with the first place of each. */
async function audit(tab) {
  await tab.call('Runtime.evaluate', { expression: AXE });
  const expression = `axe.run().then(({ violations }) => JSON.stringify(violations.map(
    ({ id, nodes }) => id + ' at ' + nodes[0].target.join(' ') + ': ' + nodes[0].any.concat(nodes[0].all).map((c) => c.message).join('; '))))`;
  const { result } = await tab.call('Runtime.evaluate', { expression, awaitPromise: true });
  return JSON.parse(result?.value ?? '["axe did not run"]');
}

async function visit(browserPort, fixture, name, widths) {
  const portal = start(PORTAL, [fixture, '0']);
  const url = await firstLine(portal.stdout, /^http\S+/);
  const tab = await openTab(browserPort);
  await tab.call('Page.navigate', { url: new URL('/login', url).href });
  for (const theme of ['light', 'dark']) await look(tab, `${name}-login`, 360, theme);
  await tab.call('Page.navigate', { url });
  await wait(4_000);
  if ((await tab.eval('document.querySelector("[role=status]")?.innerText')) !== 'live') findings.push(`${name}: not live`);
  for (const width of widths) for (const theme of ['light', 'dark']) await look(tab, name, width, theme);
  await tab.eval('document.querySelector("canvas").focus()');
  await press(tab, 'ArrowRight', 39);
  await press(tab, 'ArrowRight', 39);
  await look(tab, `${name}-keyboard`, 1440, 'light');
  const label = await tab.eval('document.querySelector("canvas").ariaLabel');
  if (!label?.includes(' to ')) findings.push(`${name}: arrow keys read no cell: ${label}`);
  await tab.eval('document.querySelectorAll("details").forEach((d) => (d.open = true)); [...document.querySelectorAll("button")].find((b) => b.innerText === "Table").click()');
  await look(tab, `${name}-table`, 360, 'dark');
  if (await tab.eval('document.images.length > 0 || document.title === "owned"')) findings.push(`${name}: markup ran`);
  portal.stdin.end();
  await wait(2_500);
  await look(tab, `${name}-lost`, 1440, 'dark');
}

try {
  const browser = start('chromium', [...FLAGS, `--user-data-dir=${join(scratch, 'profile')}`]);
  const listening = await firstLine(browser.stderr, /ws:\/\/127\.0\.0\.1:\d+/);
  const port = new URL(listening).port;
  await visit(port, FIXTURE, 'recorded', [360, 768, 1440]);
  await visit(port, hostileFixture(), 'hostile', [360]);
} finally {
  for (const child of children) child.kill();
  await wait(300);
  if (!process.argv[2]) rmSync(scratch, { recursive: true, force: true });
}
// What the page says once its portal is gone is expected.
const unexpected = findings.filter((text) => !/ERR_CONNECTION_REFUSED|WebSocket connection/.test(text));
for (const text of unexpected) console.error(text);
console.log(unexpected.length ? `${unexpected.length} findings` : `no findings; pictures in ${pictures}`);
process.exitCode = unexpected.length ? 1 : 0;
