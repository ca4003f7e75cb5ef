// An OpenID provider for the tests of internal/authn: the certified npm
// package oidc-provider with its development pages. Anybody signs in with any
// name; the name is the subject.
//
// node server.mjs REDIRECT_URI prints one line of JSON with the issuer, and
// ends when its standard input does.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const [redirectURI] = process.argv.slice(2);
const resource = 'https://rampkeeper.example';
const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: 'rampkeeper', client_secret: 'rampkeeper-test-secret', redirect_uris: [redirectURI],
        application_type: 'web', id_token_signed_response_alg: 'ES256',
      },
      {
        client_id: 'ramp-cli', token_endpoint_auth_method: 'none', redirect_uris: ['http://127.0.0.1/callback'],
        application_type: 'native', id_token_signed_response_alg: 'ES256',
      },
    ],
    jwks: { keys: [{ ...key, kid: 'test', use: 'sig', alg: 'ES256' }] },
    cookies: { keys: ['only-for-tests'] },
    pkce: { required: () => true },
    claims: {
      openid: ['sub'],
      profile: ['name', 'preferred_username'],
      email: ['email', 'email_verified'],
      groups: ['groups'],
    },
    findAccount: (ctx, sub) => ({
      accountId: sub,
      claims: () => ({
        sub, name: `${sub} of oidc-provider`, preferred_username: sub,
        email: `${sub}@example.com`, email_verified: true, groups: ['engineers', 'auditors'],
      }),
    }),
    extraTokenClaims: () => ({ groups: ['engineers'] }),
    features: {
      resourceIndicators: {
        enabled: true,
        defaultResource: (ctx, client) => (client.clientId === 'ramp-cli' ? resource : undefined),
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: 'openid profile', audience: 'rampkeeper', accessTokenTTL: 600, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
    ttl: { AccessToken: 600, AuthorizationCode: 60, Grant: 600, IdToken: 600, Interaction: 600, Session: 600 },
  });
  server.on('request', provider.callback());
  process.stdout.write(`${JSON.stringify({ issuer })}\n`);
});
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
