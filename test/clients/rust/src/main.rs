// Clients in Rust: CLIENT [FEATURE]. Prints what the programs in other languages print.
use async_openai::{config::OpenAIConfig, Client};
use futures_util::StreamExt;
use reqwest_eventsource::{Error, Event, EventSource};
use serde_json::{from_str, from_value, json, to_value, Value};

type Failure = Box<dyn std::error::Error>;

fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words[0] == "reqwest-eventsource" {
        return read().await;
    }
    if words[1] != "drain" {
        return attempt(&words[1]).await;
    }
    attempt("stream").await;
    std::io::stdin().read_line(&mut String::new()).expect("a line on standard input");
    attempt("stream").await;
}

async fn attempt(feature: &str) {
    match answer(feature).await {
        Ok(text) => println!("{text}"),
        Err(error) => {
            println!("failed: {}", format!("{error:?}").split(['(', ' ', '{']).next().unwrap_or(""));
            eprintln!("{error}");
        }
    }
}

async fn answer(feature: &str) -> Result<String, Failure> {
    let config = OpenAIConfig::new().with_api_base(setting("BASE_URL")).with_api_key("k");
    let client = Client::with_config(config);
    let mut request = json!({"model": setting("MODEL"), "messages": [{"role": "user", "content": setting("PROMPT")}]});
    let ask = |request: Value| {
        let client = client.clone();
        async move {
            let completion = client.chat().create(from_value(request)?).await?;
            Ok::<Value, Failure>(to_value(&completion.choices[0].message)?)
        }
    };
    let say = |request: &mut Value, message: Value| {
        request["messages"].as_array_mut().expect("a list").push(message);
    };
    match feature {
        "stream" => {
            let mut chunks = client.chat().create_stream(from_value(request)?).await?;
            let mut text = String::new();
            while let Some(chunk) = chunks.next().await {
                for choice in chunk?.choices {
                    if let Some(piece) = choice.delta.content.filter(|piece| !piece.is_empty()) {
                        eprintln!("piece");
                        text += &piece;
                    }
                }
            }
            return Ok(text);
        }
        "structured" => {
            let properties = json!({"city": {"type": "string"}, "degrees": {"type": "number"}});
            let schema = json!({"type": "object", "properties": properties, "required": ["city", "degrees"], "additionalProperties": false});
            request["response_format"] = json!({"type": "json_schema", "json_schema": {"name": "place", "schema": schema, "strict": true}});
            let message = ask(request).await?;
            let place: Value = from_str(message["content"].as_str().unwrap_or(""))?;
            return Ok(format!("{} {}", place["city"].as_str().unwrap_or(""), place["degrees"]));
        }
        "tools" => {
            let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}});
            request["tools"] = json!([{"type": "function", "function": {"name": "weather", "parameters": parameters}}]);
            let message = ask(request.clone()).await?;
            let call = message["tool_calls"][0].clone();
            if call["function"]["arguments"] != r#"{"city":"Oslo"}"# {
                return Err(format!("other arguments: {call}").into());
            }
            say(&mut request, message);
            say(&mut request, json!({"role": "tool", "tool_call_id": call["id"], "content": "12 degrees"}));
        }
        "second" => {
            let message = ask(request.clone()).await?;
            say(&mut request, message);
            say(&mut request, json!({"role": "user", "content": "And again?"}));
        }
        _ => {}
    }
    Ok(ask(request).await?["content"].as_str().unwrap_or("").to_string())
}

async fn read() {
    let mut source = EventSource::get(setting("URL"));
    while let Some(event) = source.next().await {
        match event {
            Ok(Event::Open) => {}
            Ok(Event::Message(message)) => println!("{} {}", message.event, message.data),
            Err(Error::InvalidStatusCode(status, _)) => {
                println!("{}", if status.as_u16() == 204 { "end".to_string() } else { format!("failed: {status}") });
                source.close();
            }
            // It reports an interrupted connection, and then reconnects.
            Err(error) => eprintln!("{error}"),
        }
    }
}
