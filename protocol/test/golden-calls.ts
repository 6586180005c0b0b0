// Golden frames of tool calls, child runs, hand-offs and relayed requests, in both codecs. The rule of golden-frames.ts applies to them.

export const CALLS = [
  {
    from: 'server' as const,
    name: 'entry: tool.called',
    json: `{"type":"entry","session":"s1","cursor":"e1.17","time":1767225600000,"event":{"type":"tool.called","run":"r1","call":"t1","name":"read_file","input":{"path":"a.txt"},"where":"client","approval":true,"attempt":1,"until":1767225600000,"step":0,"next":3,"epoch":2,"marks":"{}"}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3137a474696d65d30000019b76daa800a56576656e748da474797065ab746f6f6c2e63616c6c6564a372756ea27231a463616c6ca27431a46e616d65a9726561645f66696c65a5696e70757481a470617468a5612e747874a57768657265a6636c69656e74a8617070726f76616cc3a7617474656d707401a5756e74696cd30000019b76daa800a47374657000a46e65787403a565706f636802a56d61726b73a27b7d',
  },
  {
    from: 'server' as const,
    name: 'entry: tool.claimed',
    json: `{"type":"entry","session":"s1","cursor":"e1.18","time":1767225600000,"event":{"type":"tool.claimed","run":"r1","call":"t1","connection":"conn1","user":"ada","until":1767225600000,"command":"c5"}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3138a474696d65d30000019b76daa800a56576656e7487a474797065ac746f6f6c2e636c61696d6564a372756ea27231a463616c6ca27431aa636f6e6e656374696f6ea5636f6e6e31a475736572a3616461a5756e74696cd30000019b76daa800a7636f6d6d616e64a26335',
  },
  {
    from: 'server' as const,
    name: 'entry: tool.decided',
    json: `{"type":"entry","session":"s1","cursor":"e1.19","time":1767225600000,"event":{"type":"tool.decided","run":"r1","call":"t1","decision":"approve","by":"ada","reason":"fine","command":"c8"}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3139a474696d65d30000019b76daa800a56576656e7487a474797065ac746f6f6c2e64656369646564a372756ea27231a463616c6ca27431a86465636973696f6ea7617070726f7665a26279a3616461a6726561736f6ea466696e65a7636f6d6d616e64a26338',
  },
  {
    from: 'server' as const,
    name: 'entry: tool.result',
    json: `{"type":"entry","session":"s1","cursor":"e1.20","time":1767225600000,"event":{"type":"tool.result","run":"r1","call":"t1","output":[1,2.5,-1,255,4294967295,4294967296,1767225600000],"by":"conn1","command":"c6"}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3230a474696d65d30000019b76daa800a56576656e7486a474797065ab746f6f6c2e726573756c74a372756ea27231a463616c6ca27431a66f75747075749701cb4004000000000000ffccffceffffffffd30000000100000000d30000019b76daa800a26279a5636f6e6e31a7636f6d6d616e64a26336',
  },
  {
    from: 'server' as const,
    name: 'entry: run.started of a child run',
    json: `{"type":"entry","session":"s1","cursor":"e1.40","time":1767225600000,"event":{"type":"run.started","run":"r2","epoch":1,"mode":"new","model":"demo","message":"t2","next":0,"owner":"node-b","parent":{"run":"r1","call":"t2"},"agent":"researcher"}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3430a474696d65d30000019b76daa800a56576656e748aa474797065ab72756e2e73746172746564a372756ea27232a565706f636801a46d6f6465a36e6577a56d6f64656ca464656d6fa76d657373616765a27432a46e65787400a56f776e6572a66e6f64652d62a6706172656e7482a372756ea27231a463616c6ca27432a56167656e74aa72657365617263686572',
  },
  {
    from: 'server' as const,
    name: 'entry: run.started with a request',
    json: `{"type":"entry","session":"s1","cursor":"e1.41","time":1767225600000,"event":{"type":"run.started","run":"r1","epoch":2,"mode":"continue","model":"demo","message":"c1","next":3,"request":{"stream":"stream_1","step":1,"next":2,"model":"demo"}}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3431a474696d65d30000019b76daa800a56576656e7488a474797065ab72756e2e73746172746564a372756ea27231a565706f636802a46d6f6465a8636f6e74696e7565a56d6f64656ca464656d6fa76d657373616765a26331a46e65787403a77265717565737484a673747265616da873747265616d5f31a47374657001a46e65787402a56d6f64656ca464656d6f',
  },
  {
    from: 'server' as const,
    name: 'entry: run.requested',
    json: `{"type":"entry","session":"s1","cursor":"e1.41","time":1767225600000,"event":{"type":"run.requested","run":"r1","stream":"stream_2","step":2,"next":5,"model":"demo"}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3431a474696d65d30000019b76daa800a56576656e7486a474797065ad72756e2e726571756573746564a372756ea27231a673747265616da873747265616d5f32a47374657002a46e65787405a56d6f64656ca464656d6f',
  },
  {
    from: 'server' as const,
    name: 'entry: run.snapshot with a request',
    json: `{"type":"entry","session":"s1","cursor":"e1.41","time":1767225600000,"event":{"type":"run.snapshot","run":"r1","next":5,"output":[],"request":{"stream":"stream_2","step":2,"next":5,"model":"demo"}}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3431a474696d65d30000019b76daa800a56576656e7485a474797065ac72756e2e736e617073686f74a372756ea27231a46e65787405a66f757470757490a77265717565737484a673747265616da873747265616d5f32a47374657002a46e65787405a56d6f64656ca464656d6f',
  },
  {
    from: 'server' as const,
    name: 'entry: run.handed',
    json: `{"type":"entry","session":"s1","cursor":"e1.40","time":1767225600000,"event":{"type":"run.handed","run":"r1","from":"lead","to":"support","reason":"A refund."}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3430a474696d65d30000019b76daa800a56576656e7485a474797065aa72756e2e68616e646564a372756ea27231a466726f6da46c656164a2746fa7737570706f7274a6726561736f6ea94120726566756e642e',
  },
  {
    from: 'server' as const,
    name: 'entry: run.snapshot of a child run',
    json: `{"type":"entry","session":"s1","cursor":"e1.40","time":1767225600000,"event":{"type":"run.snapshot","run":"r2","epoch":1,"model":"demo","message":"t2","parent":{"run":"r1","call":"t2"},"agent":"researcher","next":0,"output":[]}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3430a474696d65d30000019b76daa800a56576656e7489a474797065ac72756e2e736e617073686f74a372756ea27232a565706f636801a56d6f64656ca464656d6fa76d657373616765a27432a6706172656e7482a372756ea27231a463616c6ca27432a56167656e74aa72657365617263686572a46e65787400a66f757470757490',
  },
  {
    from: 'server' as const,
    name: 'entry: run.ended of a child run',
    json: `{"type":"entry","session":"s1","cursor":"e1.40","time":1767225600000,"event":{"type":"run.ended","run":"r2","epoch":1,"model":"demo","message":"t2","parent":{"run":"r1","call":"t2"},"agent":"researcher","reason":"cancelled","by":"ada","usage":{"inputTokens":0,"outputTokens":0},"next":0,"command":"c4"}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3430a474696d65d30000019b76daa800a56576656e748ca474797065a972756e2e656e646564a372756ea27232a565706f636801a56d6f64656ca464656d6fa76d657373616765a27432a6706172656e7482a372756ea27231a463616c6ca27432a56167656e74aa72657365617263686572a6726561736f6ea963616e63656c6c6564a26279a3616461a5757361676582ab696e707574546f6b656e7300ac6f7574707574546f6b656e7300a46e65787400a7636f6d6d616e64a26334',
  },
  {
    from: 'server' as const,
    name: 'entry: tool.called by a remote agent',
    json: `{"type":"entry","session":"s1","cursor":"e1.41","time":1767225600000,"event":{"type":"tool.called","run":"r1","call":"t3","name":"search","input":{},"where":"server","approval":false,"attempt":1,"until":1767225600000,"step":0,"remote":true}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3431a474696d65d30000019b76daa800a56576656e748ba474797065ab746f6f6c2e63616c6c6564a372756ea27231a463616c6ca27433a46e616d65a6736561726368a5696e70757480a57768657265a6736572766572a8617070726f76616cc2a7617474656d707401a5756e74696cd30000019b76daa800a47374657000a672656d6f7465c3',
  },
  {
    from: 'server' as const,
    name: 'entry: tool.called of an agent',
    json: `{"type":"entry","session":"s1","cursor":"e1.40","time":1767225600000,"event":{"type":"tool.called","run":"r1","call":"t2","name":"ask_researcher","input":{"message":"hi"},"where":"server","approval":false,"attempt":1,"until":1767225600000,"step":0,"next":3,"epoch":2,"child":{"run":"r2","agent":"researcher"}}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3430a474696d65d30000019b76daa800a56576656e748da474797065ab746f6f6c2e63616c6c6564a372756ea27231a463616c6ca27432a46e616d65ae61736b5f72657365617263686572a5696e70757481a76d657373616765a26869a57768657265a6736572766572a8617070726f76616cc2a7617474656d707401a5756e74696cd30000019b76daa800a47374657000a46e65787403a565706f636802a56368696c6482a372756ea27232a56167656e74aa72657365617263686572',
  },
  {
    from: 'server' as const,
    name: 'entry: tool.called that hands over',
    json: `{"type":"entry","session":"s1","cursor":"e1.40","time":1767225600000,"event":{"type":"tool.called","run":"r1","call":"t3","name":"handoff_to_support","input":{},"where":"server","approval":false,"attempt":1,"until":1767225600000,"step":0,"handoff":"support"}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3430a474696d65d30000019b76daa800a56576656e748ba474797065ab746f6f6c2e63616c6c6564a372756ea27231a463616c6ca27433a46e616d65b268616e646f66665f746f5f737570706f7274a5696e70757480a57768657265a6736572766572a8617070726f76616cc2a7617474656d707401a5756e74696cd30000019b76daa800a47374657000a768616e646f6666a7737570706f7274',
  },
  {
    from: 'server' as const,
    name: 'entry: tool.result of an agent',
    json: `{"type":"entry","session":"s1","cursor":"e1.40","time":1767225600000,"event":{"type":"tool.result","run":"r1","call":"t2","error":"The run was cancelled.","code":"run_cancelled","by":"node-b/2"}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3430a474696d65d30000019b76daa800a56576656e7486a474797065ab746f6f6c2e726573756c74a372756ea27231a463616c6ca27432a56572726f72b65468652072756e207761732063616e63656c6c65642ea4636f6465ad72756e5f63616e63656c6c6564a26279a86e6f64652d622f32',
  },
  {
    from: 'server' as const,
    name: 'entry: tool.result of a remote agent',
    json: String.raw`{"type":"entry","session":"s1","cursor":"e1.41","time":1767225600000,"event":{"type":"tool.result","run":"r1","call":"t4","output":"found","marks":"{\"model\":\"agui:planner\"}","by":"node-b/2"}}`,
    msgpack:
      '85a474797065a5656e747279a773657373696f6ea27331a6637572736f72a565312e3431a474696d65d30000019b76daa800a56576656e7486a474797065ab746f6f6c2e726573756c74a372756ea27231a463616c6ca27434a66f7574707574a5666f756e64a56d61726b73b87b226d6f64656c223a22616775693a706c616e6e6572227da26279a86e6f64652d622f32',
  },
]
