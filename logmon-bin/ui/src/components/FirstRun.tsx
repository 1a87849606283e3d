import { ClipboardDocumentIcon, PaperAirplaneIcon } from '@heroicons/react/16/solid';
import { useState } from 'react';
import { endpoint } from '../api/http';
import { useText } from '../i18n';
import { copyText } from '../state/clipboard';
import { session } from '../state/page';

function commands(): Record<'curl' | 'cli' | 'forward' | 'node', string> {
  const logs = endpoint('api/logs').href;
  // Names that need it are bracketed by the browser already; the Forward port is logmon's default.
  const host = location.hostname === '' ? '127.0.0.1' : location.hostname;
  const bare = host.replace(/^\[|\]$/g, '');
  return {
    curl: `curl -X POST '${logs}' -H 'Content-Type: application/json' \\\n  -d '{"level":"info","source":"shell","message":"Hello, logmon"}'`,
    cli: bare === '127.0.0.1' || bare === 'localhost'
      ? "logmon send --level info --source shell 'Hello, logmon'"
      : `logmon send --to ${host}:24224 --level info --source shell 'Hello, logmon'`,
    forward: `[OUTPUT]\n    Name   forward\n    Match  *\n    Host   ${bare}\n    Port   24224\n    Require_ack_response  true`,
    node: `import { FluentClient } from '@fluent-org/logger';\nconst logger = new FluentClient('app', { socket: { host: '${bare}', port: 24224 }, ack: {} });\nawait logger.emit({ level: 'info', source: 'node', message: 'Hello, logmon' });`,
  };
}

export function FirstRun() {
  const text = useText();
  const texts = commands();
  const [sending, setSending] = useState(false);
  const send = async (): Promise<void> => {
    setSending(true);
    await session.sendTestLine(text.empty.testMessage);
    setSending(false);
  };
  return (
    <div className="absolute inset-0 overflow-y-auto bg-bg" data-testid="first-run">
      <div className="mx-auto flex max-w-[760px] flex-col gap-4 px-5 py-8">
        <div>
          <h2 className="text-[20px] font-semibold tracking-tight">{text.empty.title}</h2>
          <p className="mt-1 text-dim">{text.empty.text}</p>
        </div>
        <div>
          <button type="button" className="button button-primary h-9 px-4" onClick={() => void send()} disabled={sending} data-testid="send-test-line">
            <PaperAirplaneIcon className="icon" />
            {text.empty.test}
          </button>
        </div>
        <Command title={text.empty.curl} command={texts.curl} testid="command-curl" />
        <Command title={text.empty.cli} command={texts.cli} testid="command-cli" />
        <Command title={text.empty.forward} command={texts.forward} testid="command-forward" />
        <Command title={text.empty.node} command={texts.node} testid="command-node" />
      </div>
    </div>
  );
}

function Command({ title, command, testid }: { readonly title: string; readonly command: string; readonly testid: string }) {
  const text = useText();
  const [copied, setCopied] = useState(false);
  const copy = async (): Promise<void> => {
    if (!(await copyText(command))) return;
    setCopied(true);
    window.setTimeout(() => setCopied(false), 1_500);
  };
  return (
    <section className="overflow-hidden rounded-lg border border-line">
      <header className="flex h-8 items-center border-b border-line bg-panel pr-1 pl-3">
        <h3 className="text-[12px] font-semibold">{title}</h3>
        <button type="button" className="ml-auto inline-flex h-6 items-center gap-1 rounded-md px-2 text-[12px] text-dim hover:bg-hover hover:text-text" onClick={() => void copy()}>
          <ClipboardDocumentIcon className="icon" />
          {copied ? text.empty.copied : text.empty.copy}
        </button>
      </header>
      <pre className="overflow-x-auto p-3 font-mono text-[12px] leading-[18px]" data-testid={testid}>{command}</pre>
    </section>
  );
}
