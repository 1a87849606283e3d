import type { Catalogue } from './en';

const number = new Intl.NumberFormat('ja');

export const ja: Catalogue = {
  name: '日本語',
  tag: 'ja',
  number: (value) => number.format(value),
  title: 'logmon: ライブログ',
  table: {
    label: 'ログ行',
    timestamp: '時刻',
    level: 'レベル',
    message: 'メッセージ',
    source: 'ソース',
    noLevel: 'なし',
    older: '以前の行を読み込む',
    olderLoading: '以前の行を読み込んでいます…',
    olderEnd: 'この範囲にこれより前の行はありません',
    olderGone: 'これより前の行は表示から外れました。検索するにはライブを切ってください。',
  },
  gap: {
    lines: (count) => `${number.format(count)} 行は表示されていません`,
    unknown: '表示されていない行があります(件数は不明です)',
    reason: (reason) => {
      switch (reason) {
        case 'slow_reader': return 'この画面の処理が追いつきませんでした';
        case 'max_rate': return 'この画面の上限レートを超えました';
        case 'retention': return '表示する前に保持期間を過ぎて削除されました';
        case 'jumped': return '操作により飛ばしました';
        case 'head': case 'resume': case 'resume_head': return '最新まで飛ばしました';
        case 'diverged': return 'サーバーが最新の記録を失いました';
        case 'foreign_cursor': return '別のサーバーが応答しました';
        default: return reason;
      }
    },
    levels: (counts) => counts.map(([level, count]) => `${level} ${number.format(count)}`).join('、'),
  },
  query: {
    label: '検索条件',
    placeholder: '検索: 単語、"フレーズ"、level>=warn、http.status>=500 …',
    run: '検索する',
    clear: '検索条件を消す',
    at: (column) => `${number.format(column)} 文字目`,
    expected: (what) => `期待されるもの: ${what.join('  ')}`,
  },
  levels: {
    label: 'レベル',
    chip: (level) => `${level}: クリックで切り替え、Alt+クリックでこれだけ、Shift+クリックでこれ以上`,
  },
  source: {
    label: 'ソース',
    all: 'すべて',
    search: 'ソースを探す・入力する',
    add: (name) => `「${name}」を追加`,
    remove: (name) => `${name} を外す`,
    none: 'ソースはまだありません',
    more: (count) => `他 ${number.format(count)}`,
  },
  range: {
    label: '期間',
    '15m': '過去 15 分',
    '1h': '過去 1 時間',
    '24h': '過去 24 時間',
    all: '全期間',
  },
  live: {
    on: 'ライブ',
    switchOn: 'ライブを入れる',
    switchOff: 'ライブを切って過去を検索する',
    pause: '一時停止 (Space)',
    resume: '再開 (Space)',
    off: '検索',
    connecting: '接続しています…',
    live: 'ライブ',
    catchingUp: '追いついています…',
    paused: '一時停止中',
    waiting: '切断',
    pausedAt: (time) => `${time} に一時停止しました`,
    resumeHere: 'ここから再開',
    resumeHead: '最新へ移動',
    newLines: (count) => `新しい行 ${number.format(count)} 件`,
    toNewest: '最新の行へ',
    announce: (count, errors) =>
      errors > 0 ? `新しい行 ${number.format(count)} 件、うちエラー ${number.format(errors)} 件` : `新しい行 ${number.format(count)} 件`,
  },
  lost: {
    since: (seconds) => `${number.format(seconds)} 秒前に接続が切れました。`,
    again: (seconds) => (seconds > 0 ? `${number.format(seconds)} 秒後に再接続します` : '再接続しています…'),
    now: '今すぐ',
    promise: (time) => `失われる行はありません。${time} から続きを表示します。`,
    promiseStart: '失われる行はありません。途切れた所から続きを表示します。',
  },
  status: {
    rate: (value) => `${number.format(value)} 件/秒`,
    delay: (ms) => (ms < 10_000 ? `遅延 ${number.format(ms)} ミリ秒` : `遅延 ${number.format(Math.round(ms / 1000))} 秒`),
    shown: (count) => `表示 ${number.format(count)}`,
    notShown: (count) => `非表示 ${number.format(count)}`,
    notShownAtLeast: (count) => `非表示 ${number.format(count)} 以上`,
    matches: (count, exact) => `${number.format(count)} 件${exact ? '' : '以上'}一致`,
    back: (count) => `復旧しました。${number.format(count)} 行に追いつきました。`,
    searching: '検索しています…',
    partial: '検索は途中で終わりました。表示は完全ではありません。',
    violation: 'サーバーのライブ配信の順序が乱れたため、確かな位置から続きを取り直しました。',
  },
  outputs: {
    waits: (name, count) => `出力 ${name} に書き込めません。${number.format(count)} 件が待機しています。`,
  },
  empty: {
    title: 'ログはまだありません',
    text: 'この画面はライブです。最初の行は保存と同時にここに現れます。お好みの方法で送ってください。',
    curl: 'curl で',
    cli: 'logmon で',
    forward: 'Fluent Bit、Fluentd など Forward プロトコルで',
    node: 'Node.js の @fluent-org/logger で',
    test: 'テスト行を送る',
    copy: 'コピー',
    copied: 'コピーしました',
    testMessage: 'はじめての画面からこんにちは',
  },
  noMatch: {
    title: '一致する行がありません',
    live: '一致する新しい行が届くとここに現れます。',
    past: 'この期間にはありません。期間を広げるか、条件を減らしてください。',
    clear: 'すべての条件を外す',
  },
  failure: {
    network: 'サーバーが応答しません。',
    retry: '再試行',
    request: (id) => `リクエスト ${id}`,
  },
  drawer: {
    title: 'イベント',
    close: '閉じる (Esc)',
    copyJson: 'JSON をコピー',
    copyMessage: 'メッセージをコピー',
    message: 'メッセージ',
    fields: 'フィールド',
    more: (kilobytes) => `すべて表示 (${number.format(kilobytes)} KB)`,
  },
  page: {
    theme: (theme) => `テーマ: ${theme} (d)`,
    themes: { light: 'ライト', dark: 'ダーク', system: 'システムに合わせる' },
    language: '言語',
    keys: 'キー操作 (?)',
  },
  keys: {
    title: 'キー操作',
    close: '閉じる',
    query: '検索欄へ',
    esc: '閉じる・入力欄を離れる',
    pause: '一時停止・再開',
    move: '次の行・前の行',
    page: '1 画面送る',
    end: '最新へ・追従',
    home: '読み込んだ最初の行へ',
    open: '行を開く',
    chips: 'レベルの切り替え',
    copy: '行をコピー',
    theme: 'テーマ',
  },
};
