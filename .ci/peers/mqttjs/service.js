// An external service that answers with what it was asked.
'use strict'
const mqtt = require('mqtt')
const env = process.env

const client = mqtt.connect(env.SERVICE_URL, {
  username: env.SERVICE_USER,
  password: env.SERVICE_TOKEN,
  clientId: `mqttjs-${process.pid}`,
  protocolVersion: Number(env.SERVICE_MQTT),
  clean: true,
  reconnectPeriod: 0
})

client.on('error', (e) => {
  console.log(`refused: ${e.code} ${e.message}`)
  process.exit(2)
})

client.on('connect', () => client.subscribe(env.SERVICE_MONITOR, { qos: 2 }, (e, granted) => {
  if (e) throw e
  console.log(`ready, granted ${JSON.stringify(granted)}`)
}))

client.on('message', (topic, payload) => {
  const call = JSON.parse(payload)
  const { message } = JSON.parse(Buffer.from(call.httpRequest, 'base64'))
  const body = Buffer.from(message.body, 'base64')
  const answer = Buffer.concat([Buffer.from(`${message.method} ${message.requestUri} ${message.queryString} `), body])
  client.publish(env.SERVICE_RESPOND, JSON.stringify({
    type: 'API_RESPONSE',
    headers: { requestId: call.headers.requestId },
    httpResponse: { statusCode: 200, headers: { 'Content-Type': 'text/plain' }, body: answer.toString('base64') }
  }), { qos: 2 })
})

client.on('close', () => {
  console.log('lost')
  process.exit(3)
})
