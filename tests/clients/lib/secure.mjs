// A server with TLS and a shared key, and what a client needs for it.

import fs from 'node:fs';
import path from 'node:path';
import selfsigned from 'selfsigned';

export const SHARED_KEY = 'secure communication is awesome';
export const USER = { username: 'alice', password: 'pa55' };

const names = [{ name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }, { type: 7, ip: '127.0.0.1' }] }];
const issuer = [{ name: 'basicConstraints', cA: true, critical: true }, { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true }];
const common = (value) => [{ name: 'commonName', value }];
const options = { keyType: 'ec', algorithm: 'sha256' };

const authority = await selfsigned.generate(common('logmon test authority'), { ...options, extensions: issuer });
const ca = { key: authority.private, cert: authority.cert };
const leaf = (name) => selfsigned.generate(common(name), { ...options, ca, extensions: names });
const [server, client] = [await leaf('localhost'), await leaf('client.example')];

/** What `tls.connect` of a client takes. */
export const clientTls = { ca: authority.cert, servername: 'localhost' };
export const clientTlsWithCertificate = { ...clientTls, cert: client.cert, key: client.private };

const security = `
[forward.security]
self_hostname = "server.example"
shared_key = "${SHARED_KEY}"
`;

const users = `user_auth = true
[[forward.security.user]]
username = "${USER.username}"
password = "${USER.password}"
`;

function tls(folder, asksCertificate = false) {
  const file = (name, text) => {
    const file = path.join(folder, name);
    fs.writeFileSync(file, text, { mode: 0o600 });
    return JSON.stringify(file);
  };
  return `
[forward.tls]
cert = ${file('server.pem', server.cert)}
key = ${file('server.key', server.private)}
${asksCertificate ? `client_auth = "required"\nclient_ca = ${file('ca.pem', authority.cert)}` : ''}
`;
}

/** Configurations by what they ask of a client. */
export const configs = {
  key: () => security,
  users: () => security + users,
  tls: (folder) => tls(folder),
  tlsAndKey: (folder) => tls(folder) + security,
  certificate: (folder) => tls(folder, true) + security + users,
};
