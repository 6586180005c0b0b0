// Golden frames: the exact bytes of every frame and event in both codecs. Independent clients rely on them: a line here
// changes only together with the protocol's version, except for the numeric form of a number, which a receiver must not
// rely on.

import { CALLS } from './golden-calls.ts'
import { OUTPUTS } from './golden-outputs.ts'
import { RUN_ENDS } from './golden-run-ends.ts'
import { TOOLS } from './golden-tools.ts'

export interface Golden {
  readonly from: 'client' | 'server'
  readonly name: string
  readonly json: string
  /** Hexadecimal. */
  readonly msgpack: string
}

export const GOLDEN: readonly Golden[] = [
  {
    from: 'client',
    name: 'hello',
    json: `{"type":"hello","token":"eyJ","client":{"name":"parley","version":"0.1.0"}}`,
    msgpack:
      '83a474797065a568656c6c6fa5746f6b656ea365794aa6636c69656e7482a46e616d65a67061726c6579a776657273696f6ea5302e312e30',
  },
  {
    from: 'client',
    name: 'token',
    json: `{"type":"token","id":"c0","token":"eyJ"}`,
    msgpack: '83a474797065a5746f6b656ea26964a26330a5746f6b656ea365794a',
  },
  {
    from: 'client',
    name: 'attach',
    json: `{"type":"attach","id":"c1","session":"s1","after":"e1.7","tools":[{"name":"read_file","description":"Reads a file.","inputSchema":{"type":"object","properties":{"path":{"type":"string"}},"required":["path"]},"outputSchema":{"type":"string"},"approval":true,"timeoutMs":60000}],"merge":true}`,
    msgpack:
      '86a474797065a6617474616368a26964a26331a773657373696f6ea27331a56166746572a465312e37a5746f6f6c739186a46e616d65a9726561645f66696c65ab6465736372697074696f6ead526561647320612066696c652eab696e707574536368656d6183a474797065a66f626a656374aa70726f7065727469657381a47061746881a474797065a6737472696e67a8726571756972656491a470617468ac6f7574707574536368656d6181a474797065a6737472696e67a8617070726f76616cc3a974696d656f75744d73cdea60a56d65726765c3',
  },
  {
    from: 'client',
    name: 'attach with resume',
    json: `{"type":"attach","id":"c18","session":"s1","after":"e1.7","merge":true,"resume":{"door":"sse","gapMs":1200}}`,
    msgpack:
      '86a474797065a6617474616368a26964a3633138a773657373696f6ea27331a56166746572a465312e37a56d65726765c3a6726573756d6582a4646f6f72a3737365a56761704d73cd04b0',
  },
  {
    from: 'client',
    name: 'detach',
    json: `{"type":"detach","id":"c2","session":"s1"}`,
    msgpack: '83a474797065a6646574616368a26964a26332a773657373696f6ea27331',
  },
  {
    from: 'client',
    name: 'send',
    json: `{"type":"send","id":"c3","session":"s1","content":[{"type":"text","text":"Grüße, 世界 🎈"},{"type":"file","mediaType":"image/png","name":"dot.png","url":"https://example.com/dot.png"},{"type":"file","mediaType":"text/plain","data":"aGk="}],"policy":"interrupt","model":"demo","agent":"helper","seen":{"run":"r0","index":-1}}`,
    msgpack:
      '88a474797065a473656e64a26964a26333a773657373696f6ea27331a7636f6e74656e749382a474797065a474657874a474657874b44772c3bcc39f652c20e4b896e7958c20f09f8e8884a474797065a466696c65a96d6564696154797065a9696d6167652f706e67a46e616d65a7646f742e706e67a375726cbb68747470733a2f2f6578616d706c652e636f6d2f646f742e706e6783a474797065a466696c65a96d6564696154797065aa746578742f706c61696ea464617461a461476b3da6706f6c696379a9696e74657272757074a56d6f64656ca464656d6fa56167656e74a668656c706572a47365656e82a372756ea27230a5696e646578ff',
  },
  {
    from: 'client',
    name: 'send with a context',
    json: `{"type":"send","id":"c9","session":"s1","content":"go on","context":{"history":[{"role":"user","content":[{"type":"text","text":"hi"}]},{"role":"assistant","text":"hello","calls":[{"call":"c1","name":"look_up","input":{"q":"x"}}]},{"role":"tool","call":"c1","output":"y"}],"instructions":"Be brief.","tools":[{"name":"look_up"}],"sampling":{"temperature":0.5,"stop":["."],"toolChoice":"auto"}}}`,
    msgpack:
      '85a474797065a473656e64a26964a26339a773657373696f6ea27331a7636f6e74656e74a5676f206f6ea7636f6e7465787484a7686973746f72799382a4726f6c65a475736572a7636f6e74656e749182a474797065a474657874a474657874a2686983a4726f6c65a9617373697374616e74a474657874a568656c6c6fa563616c6c739183a463616c6ca26331a46e616d65a76c6f6f6b5f7570a5696e70757481a171a17883a4726f6c65a4746f6f6ca463616c6ca26331a66f7574707574a179ac696e737472756374696f6e73a942652062726965662ea5746f6f6c739181a46e616d65a76c6f6f6b5f7570a873616d706c696e6783ab74656d7065726174757265cb3fe0000000000000a473746f7091a12eaa746f6f6c43686f696365a46175746f',
  },
  {
    from: 'client',
    name: 'send with a parent',
    json: `{"type":"send","id":"c16","session":"s1","content":"Three.","policy":"interrupt","parent":"c1"}`,
    msgpack:
      '86a474797065a473656e64a26964a3633136a773657373696f6ea27331a7636f6e74656e74a654687265652ea6706f6c696379a9696e74657272757074a6706172656e74a26331',
  },
  {
    from: 'client',
    name: 'send with a trace',
    json: `{"type":"send","id":"c21","session":"s1","content":"Hi.","trace":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}`,
    msgpack:
      '85a474797065a473656e64a26964a3633231a773657373696f6ea27331a7636f6e74656e74a348692ea57472616365d93730302d30616637363531393136636434336464383434386562323131633830333139632d623761643662373136393230333333312d3031',
  },
  {
    from: 'client',
    name: 'cancel',
    json: `{"type":"cancel","id":"c4","session":"s1","run":"r1","seen":{"run":"r1","index":300}}`,
    msgpack:
      '85a474797065a663616e63656ca26964a26334a773657373696f6ea27331a372756ea27231a47365656e82a372756ea27231a5696e646578cd012c',
  },
  {
    from: 'client',
    name: 'presence',
    json: `{"type":"presence","session":"s1","state":{"typing":true}}`,
    msgpack: '83a474797065a870726573656e6365a773657373696f6ea27331a5737461746581a6747970696e67c3',
  },
  {
    from: 'client',
    name: 'ping',
    json: `{"type":"ping","nonce":"n1"}`,
    msgpack: '82a474797065a470696e67a56e6f6e6365a26e31',
  },
  {
    from: 'server',
    name: 'welcome',
    json: `{"type":"welcome","connection":"conn1","user":"ada","node":"n1","heartbeatMs":15000,"limits":{"frameBytes":1048576}}`,
    msgpack:
      '86a474797065a777656c636f6d65aa636f6e6e656374696f6ea5636f6e6e31a475736572a3616461a46e6f6465a26e31ab6865617274626561744d73cd3a98a66c696d69747381aa6672616d654279746573ce00100000',
  },
  {
    from: 'server',
    name: 'attached',
    json: `{"type":"attached","id":"c1","session":"s1","cursor":"e1.9","reset":true,"role":"owner"}`,
    msgpack:
      '86a474797065a86174746163686564a26964a26331a773657373696f6ea27331a6637572736f72a465312e39a57265736574c3a4726f6c65a56f776e6572',
  },
  {
    from: 'server',
    name: 'live',
    json: `{"type":"live","session":"s1","cursor":"e1.9"}`,
    msgpack: '83a474797065a46c697665a773657373696f6ea27331a6637572736f72a465312e39',
  },
  {
    from: 'server',
    name: 'ok',
    json: `{"type":"ok","id":"c3","session":"s1","cursor":"e1.10","message":"c3","run":"r1","until":1767225600000,"duplicate":true}`,
    msgpack:
      '88a474797065a26f6ba26964a26333a773657373696f6ea27331a6637572736f72a565312e3130a76d657373616765a26333a372756ea27231a5756e74696cd30000019b76daa800a96475706c6963617465c3',
  },
  {
    from: 'server',
    name: 'error',
    json: `{"type":"error","id":"c3","code":"rate_limited","message":"Too many commands; wait before the next.","retryable":true,"retryAfterMs":250}`,
    msgpack:
      '86a474797065a56572726f72a26964a26333a4636f6465ac726174655f6c696d69746564a76d657373616765d928546f6f206d616e7920636f6d6d616e64733b2077616974206265666f726520746865206e6578742ea9726574727961626c65c3ac726574727941667465724d73ccfa',
  },
  {
    from: 'server',
    name: 'presence',
    json: `{"type":"presence","session":"s1","members":[{"user":"ada","connection":"conn1","state":{"typing":true}}]}`,
    msgpack:
      '83a474797065a870726573656e6365a773657373696f6ea27331a76d656d626572739183a475736572a3616461aa636f6e6e656374696f6ea5636f6e6e31a5737461746581a6747970696e67c3',
  },
  {
    from: 'server',
    name: 'presence of a crowd',
    json: `{"type":"presence","session":"s1","members":[{"user":"ada","connection":"conn1","state":{"device":"phone"},"name":"Ada","device":"phone"}],"count":1000}`,
    msgpack:
      '84a474797065a870726573656e6365a773657373696f6ea27331a76d656d626572739185a475736572a3616461aa636f6e6e656374696f6ea5636f6e6e31a5737461746581a6646576696365a570686f6e65a46e616d65a3416461a6646576696365a570686f6e65a5636f756e74cd03e8',
  },
  {
    from: 'server',
    name: 'welcome with expiresAt',
    json: `{"type":"welcome","connection":"k1","user":"u1","name":"Ann","node":"n1","heartbeatMs":15000,"limits":{},"expiresAt":1767225600000}`,
    msgpack:
      '88a474797065a777656c636f6d65aa636f6e6e656374696f6ea26b31a475736572a27531a46e616d65a3416e6ea46e6f6465a26e31ab6865617274626561744d73cd3a98a66c696d69747380a9657870697265734174d30000019b76daa800',
  },
  {
    from: 'server',
    name: 'welcome with the time',
    json: `{"type":"welcome","connection":"k1","user":"u1","node":"n1","heartbeatMs":15000,"limits":{},"time":1767225600000}`,
    msgpack:
      '87a474797065a777656c636f6d65aa636f6e6e656374696f6ea26b31a475736572a27531a46e6f6465a26e31ab6865617274626561744d73cd3a98a66c696d69747380a474696d65d30000019b76daa800',
  },
  {
    from: 'server',
    name: 'welcome with an experiment',
    json: `{"type":"welcome","connection":"k1","user":"u1","node":"n1","heartbeatMs":15000,"limits":{},"experiment":{"name":"first-door","variant":"sse-first","doors":["sse","websocket"]}}`,
    msgpack:
      '87a474797065a777656c636f6d65aa636f6e6e656374696f6ea26b31a475736572a27531a46e6f6465a26e31ab6865617274626561744d73cd3a98a66c696d69747380aa6578706572696d656e7483a46e616d65aa66697273742d646f6f72a776617269616e74a97373652d6669727374a5646f6f727392a3737365a9776562736f636b6574',
  },
  {
    from: 'client',
    name: 'hello with a client id',
    json: `{"type":"hello","client":{"name":"parley","version":"0.1.0","id":"cli_1"}}`,
    msgpack:
      '82a474797065a568656c6c6fa6636c69656e7483a46e616d65a67061726c6579a776657273696f6ea5302e312e30a26964a5636c695f31',
  },
  {
    from: 'server',
    name: 'expiring',
    json: `{"type":"expiring","expiresAt":1767225600000}`,
    msgpack: '82a474797065a86578706972696e67a9657870697265734174d30000019b76daa800',
  },
  {
    from: 'server',
    name: 'goaway',
    json: `{"type":"goaway","reason":"restart","reconnectAfterMs":500}`,
    msgpack: '83a474797065a6676f61776179a6726561736f6ea772657374617274b07265636f6e6e65637441667465724d73cd01f4',
  },
  {
    from: 'server',
    name: 'pong',
    json: `{"type":"pong","nonce":"n1"}`,
    msgpack: '82a474797065a4706f6e67a56e6f6e6365a26e31',
  },
  {
    from: 'server',
    name: 'entry: message',
    json: `{"type":"entry","session":"s1","cursor":"e1.10","time":1767225600000,"event":{"type":"message","id":"c3","role":"user","author":"ada","content":[{"type":"text","text":"hi"}],"policy":"queue","run":"r1","model":"demo","agent":"helper","seen":{"run":"r0","index":4},"after":9,"tools":["read_file"]}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3130a474696d65d30000019b76daa800a56576656e748ca474797065a76d657373616765a26964a26333a4726f6c65a475736572a6617574686f72a3616461a7636f6e74656e749182a474797065a474657874a474657874a26869a6706f6c696379a57175657565a372756ea27231a56d6f64656ca464656d6fa56167656e74a668656c706572a47365656e82a372756ea27230a5696e64657804a5616674657209a5746f6f6c7391a9726561645f66696c65',
  },
  {
    from: 'server',
    name: 'entry: run.started',
    json: `{"type":"entry","session":"s1","cursor":"e1.11","time":1767225600000,"event":{"type":"run.started","run":"r1","epoch":2,"mode":"restart","model":"demo","message":"c3","next":5,"owner":"node-b"}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3131a474696d65d30000019b76daa800a56576656e7488a474797065ab72756e2e73746172746564a372756ea27231a565706f636802a46d6f6465a772657374617274a56d6f64656ca464656d6fa76d657373616765a26333a46e65787405a56f776e6572a66e6f64652d62',
  },
  {
    from: 'server',
    name: 'entry: run.snapshot',
    json: `{"type":"entry","session":"s1","cursor":"e1.14","time":1767225600000,"event":{"type":"run.snapshot","run":"r1","epoch":2,"model":"demo","message":"c3","owner":"node-b","startedAt":1767225600000,"next":8,"output":[{"type":"text","text":" 5","index":5,"lengths":[2]},{"type":"message","message":"c9"},{"type":"reasoning","text":"hm, so","index":6,"lengths":[4,2]},{"type":"tool","call":"t1","name":"read_file"}],"changes":true}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3134a474696d65d30000019b76daa800a56576656e748aa474797065ac72756e2e736e617073686f74a372756ea27231a565706f636802a56d6f64656ca464656d6fa76d657373616765a26333a56f776e6572a66e6f64652d62a9737461727465644174d30000019b76daa800a46e65787408a66f75747075749484a474797065a474657874a474657874a22035a5696e64657805a76c656e67746873910282a474797065a76d657373616765a76d657373616765a2633984a474797065a9726561736f6e696e67a474657874a6686d2c20736fa5696e64657806a76c656e6774687392040283a474797065a4746f6f6ca463616c6ca27431a46e616d65a9726561645f66696c65a76368616e676573c3',
  },
  ...TOOLS,
  ...RUN_ENDS,
  ...CALLS,
  ...OUTPUTS,
  {
    from: 'server',
    name: 'entry: message with a transport',
    json: `{"type":"entry","session":"s1","cursor":"e1.32","time":1767225600000,"event":{"type":"message","id":"c19","role":"user","author":"ada","content":[],"policy":"queue","run":"r1","door":"websocket","variant":"b"}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3332a474696d65d30000019b76daa800a56576656e7489a474797065a76d657373616765a26964a3633139a4726f6c65a475736572a6617574686f72a3616461a7636f6e74656e7490a6706f6c696379a57175657565a372756ea27231a4646f6f72a9776562736f636b6574a776617269616e74a162',
  },
  {
    from: 'server',
    name: 'entry: message with a title',
    json: `{"type":"entry","session":"s1","cursor":"e1.36","time":1767225600000,"event":{"type":"message","id":"c23","role":"user","author":"ada","content":[],"policy":"queue","run":"r1","title":"Plans"}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3336a474696d65d30000019b76daa800a56576656e7488a474797065a76d657373616765a26964a3633233a4726f6c65a475736572a6617574686f72a3616461a7636f6e74656e7490a6706f6c696379a57175657565a372756ea27231a57469746c65a5506c616e73',
  },
  {
    from: 'server',
    name: 'entry: abridged message',
    json: `{"type":"entry","session":"s1","cursor":"e1.35","time":1767225600000,"event":{"type":"message","id":"c22","role":"user","author":"ada","content":[],"policy":"queue","run":"r1","door":"openai","abridged":{"segment":2,"digest":"x"}}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3335a474696d65d30000019b76daa800a56576656e7489a474797065a76d657373616765a26964a3633232a4726f6c65a475736572a6617574686f72a3616461a7636f6e74656e7490a6706f6c696379a57175657565a372756ea27231a4646f6f72a66f70656e6169a8616272696467656482a77365676d656e7402a6646967657374a178',
  },
  {
    from: 'server',
    name: 'entry: message with a trace',
    json: `{"type":"entry","session":"s1","cursor":"e1.34","time":1767225600000,"event":{"type":"message","id":"c21","role":"user","author":"ada","content":[],"policy":"queue","run":"r1","door":"websocket","trace":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3334a474696d65d30000019b76daa800a56576656e7489a474797065a76d657373616765a26964a3633231a4726f6c65a475736572a6617574686f72a3616461a7636f6e74656e7490a6706f6c696379a57175657565a372756ea27231a4646f6f72a9776562736f636b6574a57472616365d93730302d30616637363531393136636434336464383434386562323131633830333139632d623761643662373136393230333333312d3031',
  },
  {
    from: 'server',
    name: 'entry: message with a budget',
    json: `{"type":"entry","session":"s1","cursor":"e1.33","time":1767225600000,"event":{"type":"message","id":"c20","role":"user","author":"ada","content":[],"policy":"queue","run":"r1","budget":{"tokens":100000,"windowMs":86400000}}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3333a474696d65d30000019b76daa800a56576656e7488a474797065a76d657373616765a26964a3633230a4726f6c65a475736572a6617574686f72a3616461a7636f6e74656e7490a6706f6c696379a57175657565a372756ea27231a662756467657482a6746f6b656e73ce000186a0a877696e646f774d73ce05265c00',
  },
  {
    from: 'server',
    name: 'entry: message with a context',
    json: `{"type":"entry","session":"s1","cursor":"e1.30","time":1767225600000,"event":{"type":"message","id":"c9","role":"user","author":"ann","content":[],"policy":"queue","run":"r9","context":{"history":[{"role":"user","content":[{"type":"text","text":"hi"}]},{"role":"assistant","text":"hello","calls":[{"call":"c1","name":"look_up","input":{"q":"x"}}]},{"role":"tool","call":"c1","output":"y"}],"instructions":"Be brief.","tools":[{"name":"look_up"}],"sampling":{"temperature":0.5,"stop":["."],"toolChoice":"auto"}}}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3330a474696d65d30000019b76daa800a56576656e7488a474797065a76d657373616765a26964a26339a4726f6c65a475736572a6617574686f72a3616e6ea7636f6e74656e7490a6706f6c696379a57175657565a372756ea27239a7636f6e7465787484a7686973746f72799382a4726f6c65a475736572a7636f6e74656e749182a474797065a474657874a474657874a2686983a4726f6c65a9617373697374616e74a474657874a568656c6c6fa563616c6c739183a463616c6ca26331a46e616d65a76c6f6f6b5f7570a5696e70757481a171a17883a4726f6c65a4746f6f6ca463616c6ca26331a66f7574707574a179ac696e737472756374696f6e73a942652062726965662ea5746f6f6c739181a46e616d65a76c6f6f6b5f7570a873616d706c696e6783ab74656d7065726174757265cb3fe0000000000000a473746f7091a12eaa746f6f6c43686f696365a46175746f',
  },
  {
    from: 'server',
    name: 'entry: message that starts a conversation',
    json: `{"type":"entry","session":"s1","cursor":"e1.31","time":1767225600000,"event":{"type":"message","id":"c17","role":"user","author":"ada","content":[],"policy":"queue","run":"r1","parent":null}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3331a474696d65d30000019b76daa800a56576656e7488a474797065a76d657373616765a26964a3633137a4726f6c65a475736572a6617574686f72a3616461a7636f6e74656e7490a6706f6c696379a57175657565a372756ea27231a6706172656e74c0',
  },
  {
    from: 'server',
    name: 'entry: member.joined by invitation',
    json: `{"type":"entry","session":"s1","cursor":"e1.26","time":1767225600000,"event":{"type":"member.joined","user":"bob","role":"editor","name":"Bob","by":"ann","invite":"i1"}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3236a474696d65d30000019b76daa800a56576656e7486a474797065ad6d656d6265722e6a6f696e6564a475736572a3626f62a4726f6c65a6656469746f72a46e616d65a3426f62a26279a3616e6ea6696e76697465a26931',
  },
  {
    from: 'server',
    name: 'entry: member.left, removed',
    json: `{"type":"entry","session":"s1","cursor":"e1.27","time":1767225600000,"event":{"type":"member.left","user":"bob","by":"ann"}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3237a474696d65d30000019b76daa800a56576656e7483a474797065ab6d656d6265722e6c656674a475736572a3626f62a26279a3616e6e',
  },
  {
    from: 'server',
    name: 'entry: invite.created',
    json: `{"type":"entry","session":"s1","cursor":"e1.28","time":1767225600000,"event":{"type":"invite.created","invite":"i1","role":"editor","hash":"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU","until":1767229200000,"by":"ann"}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3238a474696d65d30000019b76daa800a56576656e7486a474797065ae696e766974652e63726561746564a6696e76697465a26931a4726f6c65a6656469746f72a468617368d92b3437444551706a38484253612d5f54496d572d354a4365755165526b6d354e4d704a575a47336853754655a5756e74696cd30000019b77119680a26279a3616e6e',
  },
  {
    from: 'server',
    name: 'entry: invite.revoked',
    json: `{"type":"entry","session":"s1","cursor":"e1.29","time":1767225600000,"event":{"type":"invite.revoked","invite":"i1","by":"ann"}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3239a474696d65d30000019b76daa800a56576656e7483a474797065ae696e766974652e7265766f6b6564a6696e76697465a26931a26279a3616e6e',
  },
  {
    from: 'server',
    name: 'error of a session',
    json: `{"type":"error","session":"s1","code":"forbidden","message":"No.","retryable":false}`,
    msgpack:
      '85a474797065a56572726f72a773657373696f6ea27331a4636f6465a9666f7262696464656ea76d657373616765a34e6f2ea9726574727961626c65c2',
  },
  {
    from: 'server',
    name: 'entry: member.joined',
    json: `{"type":"entry","session":"s1","cursor":"e1.22","time":1767225600000,"event":{"type":"member.joined","user":"bob","role":"member"}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3232a474696d65d30000019b76daa800a56576656e7483a474797065ad6d656d6265722e6a6f696e6564a475736572a3626f62a4726f6c65a66d656d626572',
  },
  {
    from: 'server',
    name: 'entry: member.left',
    json: `{"type":"entry","session":"s1","cursor":"e1.23","time":1767225600000,"event":{"type":"member.left","user":"bob"}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3233a474696d65d30000019b76daa800a56576656e7482a474797065ab6d656d6265722e6c656674a475736572a3626f62',
  },
  {
    from: 'server',
    name: 'entry: session.deleted',
    json: `{"type":"entry","session":"s1","cursor":"e1.30","time":1767225600000,"event":{"type":"session.deleted","by":"ann","command":"c1"}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3330a474696d65d30000019b76daa800a56576656e7483a474797065af73657373696f6e2e64656c65746564a26279a3616e6ea7636f6d6d616e64a26331',
  },
  {
    from: 'server',
    name: 'entry: session.updated',
    json: `{"type":"entry","session":"s1","cursor":"e1.24","time":1767225600000,"event":{"type":"session.updated","title":"Plans","tools":[{"name":"read_file"}]}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3234a474696d65d30000019b76daa800a56576656e7483a474797065af73657373696f6e2e75706461746564a57469746c65a5506c616e73a5746f6f6c739181a46e616d65a9726561645f66696c65',
  },
  {
    from: 'server',
    name: 'entry: session.updated, a deleted response',
    json: `{"type":"entry","session":"s1","cursor":"e1.31","time":1767225600000,"event":{"type":"session.updated","deletedResponses":["run_1"]}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3331a474696d65d30000019b76daa800a56576656e7482a474797065af73657373696f6e2e75706461746564b064656c65746564526573706f6e73657391a572756e5f31',
  },
]
