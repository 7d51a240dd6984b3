// node-zookeeper-client against a running server (E2E_CONNECT=host:port,…).
'use strict';

const assert = require('node:assert');
const { test, before, after } = require('node:test');
const zookeeper = require('node-zookeeper-client');

const CONNECT = process.env.E2E_CONNECT || '127.0.0.1:2181';
const OPEN = zookeeper.ACL.OPEN_ACL_UNSAFE;
let client;
let names = 0;

function start() {
  const made = zookeeper.createClient(CONNECT, { sessionTimeout: 10000, spinDelay: 100 });
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error('no connection in 15 s')), 15000);
    made.once('connected', () => {
      clearTimeout(late);
      resolve(made);
    });
    made.connect();
  });
}

/** Calls a method of the client that ends with (error, ...results); gives the results. */
function call(on, method, ...args) {
  return new Promise((resolve, reject) => {
    on[method](...args, (error, ...results) => (error ? reject(error) : resolve(results)));
  });
}

async function base() {
  const [path] = await call(client, 'create', `/node-${process.pid}-${++names}`, Buffer.from(''), OPEN, 0);
  return path;
}

const code = (name) => (error) => error.getCode && error.getCode() === zookeeper.Exception[name];

before(async () => {
  client = await start();
});

after(() => client.close());

test('create, read, write, delete', async () => {
  const path = (await base()) + '/a';
  assert.deepStrictEqual(await call(client, 'create', path, Buffer.from('1'), OPEN, 0), [path]);
  const [data, stat] = await call(client, 'getData', path);
  assert.strictEqual(data.toString(), '1');
  assert.strictEqual(stat.version, 0);
  const [written] = await call(client, 'setData', path, Buffer.from('2'), 0);
  assert.strictEqual(written.version, 1);
  await assert.rejects(call(client, 'setData', path, Buffer.from('3'), 0), code('BAD_VERSION'));
  await assert.rejects(call(client, 'create', path, Buffer.from(''), OPEN, 0), code('NODE_EXISTS'));
  await call(client, 'remove', path, 1);
  assert.strictEqual((await call(client, 'exists', path))[0], null);
  await assert.rejects(call(client, 'getData', path), code('NO_NODE'));
});

test('sequential and ephemeral', async () => {
  const path = await base();
  const mode = zookeeper.CreateMode.EPHEMERAL_SEQUENTIAL;
  for (let i = 0; i < 3; i++) {
    const [made] = await call(client, 'create', `${path}/s-`, Buffer.from(''), OPEN, mode);
    assert.strictEqual(made, `${path}/s-000000000${i}`);
  }
  const [stat] = await call(client, 'exists', `${path}/s-0000000000`);
  assert.deepStrictEqual(stat.ephemeralOwner, client.getSessionId());
});

test('children', async () => {
  const path = await base();
  for (const name of ['b', 'a']) {
    await call(client, 'create', `${path}/${name}`, Buffer.from(''), OPEN, 0);
  }
  const [children, stat] = await call(client, 'getChildren', path);
  assert.deepStrictEqual(children.sort(), ['a', 'b']);
  assert.strictEqual(stat.numChildren, 2);
});

test('mkdirp', async () => {
  const path = await base();
  assert.deepStrictEqual(await call(client, 'mkdirp', `${path}/x/y/z`), [`${path}/x/y/z`]);
  assert.deepStrictEqual((await call(client, 'getChildren', `${path}/x`))[0], ['y']);
});

test('watches', async () => {
  const path = await base();
  const next = (method) =>
    new Promise((resolve, reject) => {
      client[method](path, resolve, (error) => error && reject(error));
    });
  const data = next('getData');
  const children = next('getChildren');
  await call(client, 'exists', path);
  await call(client, 'setData', path, Buffer.from('x'), -1);
  await call(client, 'create', `${path}/a`, Buffer.from(''), OPEN, 0);
  assert.strictEqual((await data).getName(), 'NODE_DATA_CHANGED');
  assert.strictEqual((await children).getName(), 'NODE_CHILDREN_CHANGED');
});

test('transactions', async () => {
  const path = await base();
  const good = client.transaction().create(`${path}/a`, Buffer.from('1'), OPEN, 0)
    .setData(`${path}/a`, Buffer.from('2'), 0).check(`${path}/a`, 1);
  const [results] = await call(good, 'commit');
  assert.strictEqual(results.length, 3);
  const bad = client.transaction().create(`${path}/b`, Buffer.from(''), OPEN, 0).check(path, 9);
  await assert.rejects(call(bad, 'commit'), code('BAD_VERSION'));
  assert.strictEqual((await call(client, 'exists', `${path}/b`))[0], null);
});

test('acls and authentication', async () => {
  const path = await base();
  const other = await start();
  try {
    client.addAuthInfo('digest', Buffer.from('alice:secret'));
    await call(client, 'create', `${path}/p`, Buffer.from('p'), zookeeper.ACL.CREATOR_ALL_ACL, 0);
    // The other may sit on a follower that has not heard of it yet.
    for (let tries = 0; tries < 200; tries++) {
      const seen = await call(other, 'exists', path).then(([stat]) => stat && stat.numChildren);
      if (seen) break;
    }
    await assert.rejects(call(other, 'getData', `${path}/p`), code('NO_AUTH'));
    const [acls] = await call(client, 'getACL', `${path}/p`);
    assert.strictEqual(acls[0].id.scheme, 'digest');
  } finally {
    other.close();
  }
});

test('a thousand at once', async () => {
  const path = await base();
  await Promise.all(Array.from({ length: 1000 }, (_, i) =>
    call(client, 'create', `${path}/${i}`, Buffer.from(String(i)), OPEN, 0)));
  assert.strictEqual((await call(client, 'getChildren', path))[0].length, 1000);
});
