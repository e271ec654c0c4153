//! An expression is given only what it reads, and must not be able to tell.

use failback_states::{Evaluator, Jlens, Scope};
use serde_json::{Value, json};

fn scope_values() -> (Value, Value, Value) {
    let list = json!([{ "id": 1, "name": "a", "at": [1, 2] }, { "id": 2, "name": "b", "at": [] }]);
    let input = json!({ "list": list, "one": { "two": { "three": [1, 2, 3] } }, "text": "x" });
    let context =
        json!({ "Execution": { "Input": { "list": [1] }, "Name": "monday", "RedriveCount": 0 } });
    let variables = json!({
        "plan": { "limits": { "create_s": 60, "verify_s": 5 }, "records": list, "empty": [] },
        "n": 3, "key": "two", "nothing": null, "text": "x",
    });
    (input, context, variables)
}

/// Evaluates `source` as it is, and once more with a part that never runs but names everything.
fn cut_and_whole(source: &str) -> [Result<Option<Value>, String>; 2] {
    let (input, context, variables) = scope_values();
    let result = json!({ "Payload": { "state": "DONE", "detail": null }, "StatusCode": 200 });
    let scope = Scope {
        input: &input,
        context: &|with_input| {
            let mut context = context.clone();
            if !with_input {
                context["Execution"]["Input"] = Value::Null;
            }
            context
        },
        extra: Some(("result", &result)),
        variables: &|name| variables.get(name),
        now_ms: 0,
    };
    let names_all = format!("(false ? [$states, $plan, $n, $key, $nothing, $text] : 0; {source})");
    [source, &names_all].map(|source| Jlens::new().evaluate(source, scope, &mut || 1))
}

#[test]
fn what_is_cut_away_is_not_missed() {
    for source in [
        "$plan.limits.create_s * 1000",
        "$plan.limits",
        "$plan.limits.*",
        "$plan.**.id",
        "$keys($plan)",
        "$string($plan)",
        "$count($plan.records)",
        "$exists($plan.records.missing)",
        "$plan.records[id = 2].name",
        "$plan.records[$n - 2].at",
        "$plan.records^(>id).name",
        "$plan.records{ name: id }",
        "$plan.records.{ 'n': name, 'p': %.limits }",
        "$plan.records#$i.{ 'i': $i, 'id': id }",
        "$plan.records@$r.{ 'id': $r.id }",
        "$plan ~> |limits|{ 'dns_s': 1 }|",
        "$map($plan.records, function($r) { $r.id })",
        "$filter($plan.records, function($r) { $r.id > 1 })[0].name",
        "$reduce($plan.records.id, function($a, $b) { $a + $b })",
        "$sort($plan.records, function($l, $r) { $l.id < $r.id })[0].name",
        "$lookup($states.input.one, $key).three",
        "$each($plan.limits, function($v, $k) { $k & $v })",
        "$sift($plan.limits, function($v) { $v > 5 })",
        "$spread($plan.limits)",
        "$merge([$plan.limits, { 'n': $n }])",
        "$type($plan)",
        "$plan = $plan",
        "$plan.empty",
        "$plan.missing.more",
        "$nothing",
        "$not($plan.missing)",
        "$states",
        "$states.input",
        "$states.*.list.id",
        "$states.result.Payload.state = 'DONE'",
        "$states.result.Payload.detail",
        "$states.context.Execution.Name & '-x'",
        "$states.context.Execution.Input.list",
        "$states.context.Execution.Input",
        "$states.context.Execution",
        "$states.context",
        "$keys($states.context.Execution)",
        "$states.context.*.Input",
        "$states.context.**.list",
        "$states.context.Execution[Input.list = 1].Name",
        "$states.context.Execution.(Input.list)",
        "$lookup($states.context.Execution, 'Input')",
        "($c := $states.context; $c.Execution.Input.list)",
        "$states[context.Execution.Name = 'monday'].input.text",
        "$states.input.one.two.(%.%.%.context.Execution.Name)",
        "$states.input.one.%.%.result.StatusCode",
        "$states.input@$i.context.Execution.Name",
        "$states.input#$i.{ 'i': $i, 'c': %.context }",
        "$states{ 'a': context }",
        "$states.input.list[$states.result.StatusCode = 200].name",
        "$map([1], function($states) { $states })",
        "($input := $states; $input.context.Execution)",
        "$states.input.one ~> $merge([$states.context])",
        "$states.'input'.text",
        "$states.input.list^(%.%.context.Execution.RedriveCount).id",
        "$states.(input.text & $text)",
        "($s := $states; $s.input.one.two.three[1])",
        "($f := function($x) { $x.limits.verify_s }; $f($plan))",
        "($n := $n + 1; $n)",
        "($plan := $plan.limits; $plan.create_s)",
        "$n > 2 ? $plan.limits.create_s : $plan.records",
        "$plan.limits + 1",
        "$uppercase($plan.records)",
        "$error($plan.records[0].name)",
        "$assert(false, $string($plan.limits))",
        "$parse($string($plan)).limits.create_s",
        "$partition($plan.records, 1)[1].id",
        "$plan.records.$string()",
        "$plan.records.id ~> $sum()",
        "[$plan.records.id, $n]",
        "{ 'plan': $plan, 'key': $key }.plan.limits.verify_s",
        "$n in $plan.records.id",
    ] {
        let [cut, whole] = cut_and_whole(source);
        assert_eq!(cut, whole, "{source}");
    }
}
