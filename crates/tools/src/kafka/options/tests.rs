use super::*;

const OPTIONS: &[Opt] = &[
    HELP,
    Opt::flag("list", "List all."),
    Opt::text("topic", "topic", "The topic."),
    Opt::integer("partitions", "# of partitions", "How many."),
    Opt::text("compression-codec", "compression-codec", "The codec.").optional_value(),
    Opt::text("offset", "consume offset", "Where.").or("latest"),
    Opt::text("members", "", "").list(','),
];

fn read(line: &str) -> Result<Parsed, OptionError> {
    let args: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
    parse(OPTIONS, false, &args)
}

#[test]
fn values_follow_or_are_joined() {
    for line in ["--topic a --list", "--topic=a --list", "-topic a -list", "-topic=a --list=x"] {
        let parsed = read(line).unwrap();
        assert_eq!(parsed.value("topic"), Ok(Some("a")), "{line}");
        assert!(parsed.has("list") && parsed.rest.is_empty(), "{line}");
    }
    assert_eq!(read("--topic --list").unwrap().value("topic"), Ok(Some("--list")));
    assert_eq!(read("--topic= a").unwrap().value("topic"), Ok(Some("a")));
    assert_eq!(read("a -- --list -").unwrap().rest, ["a", "--list", "-"]);
    assert_eq!(read("--members a,b --members c").unwrap().values("members"), ["a", "b", "c"]);
}

#[test]
fn optional_values_and_defaults() {
    let parsed = read("--compression-codec --list").unwrap();
    assert!(parsed.has("compression-codec") && parsed.has("list"));
    assert_eq!(parsed.value("compression-codec"), Ok(None));
    assert_eq!(
        read("--compression-codec lz4").unwrap().value("compression-codec"),
        Ok(Some("lz4"))
    );
    assert_eq!(parsed.value("offset"), Ok(Some("latest")));
    assert_eq!(parsed.given("offset"), Ok(None));
    assert_eq!(parsed.value("topic"), Ok(None));
}

#[test]
fn refusals_are_in_the_words_of_jopt_simple() {
    let message = |line: &str| read(line).unwrap_err().to_string();
    assert_eq!(message("--foo"), "foo is not a recognized option");
    assert_eq!(message("--top a"), "top is not a recognized option");
    assert_eq!(message("-xyz"), "x is not a recognized option");
    assert_eq!(message("--topic"), "Option topic requires an argument");
    let parsed = read("--topic a --topic b --partitions x").unwrap();
    assert_eq!(
        parsed.value("topic").unwrap_err().to_string(),
        "Found multiple arguments for option topic, but you asked for only one"
    );
    assert_eq!(
        parsed.number::<i32>("partitions").unwrap_err().to_string(),
        "Cannot parse argument 'x' of option partitions"
    );
}

#[test]
fn required_options_are_insisted_on_unless_help_is_asked_for() {
    const WITH: &[Opt] =
        &[HELP, Opt::text("topic", "", "").required(), Opt::flag("q", "").required()];
    let error = parse(WITH, false, &[]).unwrap_err();
    assert_eq!(error.to_string(), "Missing required option(s) [topic, q]");
    assert!(parse(WITH, false, &["--help".to_owned()]).is_ok());
}

#[test]
fn abbreviations_only_where_allowed_and_unambiguous() {
    let args = |line: &str| vec![line.to_owned()];
    assert!(parse(OPTIONS, true, &args("--li")).unwrap().has("list"));
    assert!(parse(OPTIONS, true, &args("--p")).is_err(), "a value is missing");
    const TWO: &[Opt] = &[Opt::flag("alter", ""), Opt::flag("all", "")];
    assert!(parse(TWO, true, &args("--al")).is_err());
    assert!(parse(TWO, true, &args("--alt")).unwrap().has("alter"));
}

#[test]
fn checks_name_the_options() {
    let parsed = read("--list --topic a").unwrap();
    assert_eq!(
        require(&parsed, &["topic", "partitions"]),
        Err("Missing required argument \"[partitions]\"".to_owned())
    );
    assert_eq!(
        refuse_together(&parsed, "list", &["help", "topic"]),
        Err("Option \"[list]\" can't be used with option \"[topic]\"".to_owned())
    );
    assert_eq!(refuse_together(&parsed, "help", &["topic"]), Ok(()));
}

#[test]
fn the_usage_is_a_table_of_two_columns() {
    const SOME: &[Opt] = &[
        Opt::text(
            "topic",
            "topic",
            "The topic to create, alter, describe or delete. It also accepts a regular",
        ),
        Opt::integer("partitions", "", "How many.").or("1"),
    ];
    let expected = [
        "Option                   Description                                            ",
        "------                   -----------                                            ",
        "--partitions <Integer>   How many. (default: 1)                                 ",
        "--topic <String: topic>  The topic to create, alter, describe or delete. It     ",
        "                           also accepts a regular                               ",
    ];
    assert_eq!(usage(SOME).lines().collect::<Vec<_>>(), expected);
}
