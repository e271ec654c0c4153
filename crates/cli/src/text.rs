//! The report as a person reads it.

use std::fmt::Write as _;

use failback_plan::verify::Row;
use serde_json::Value;

use crate::drill::TableShown;
use crate::report::Report;

/// `754.2` seconds as `12m 34s`; below a minute with a tenth.
pub fn duration(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{seconds:.1}s");
    }
    let whole = seconds.round() as i64;
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 {
        format!("{hours}h {minutes:02}m {rest:02}s")
    } else {
        format!("{minutes}m {rest:02}s")
    }
}

/// A table in the runbook's columns.
pub fn table(shown: &TableShown) -> String {
    let header =
        ["Region", "DB Cluster Name", "Global/Regional", "DB Cluster Status", "Node Status"];
    let cells = |row: &Row| {
        [
            row.region.clone(),
            row.cluster_id.clone(),
            row.scope.clone(),
            row.cluster_status.clone(),
            row.node_status.clone(),
        ]
    };
    let rows: Vec<[String; 5]> =
        std::iter::once(header.map(str::to_owned)).chain(shown.rows.iter().map(cells)).collect();
    let width = |i: usize| rows.iter().map(|r| r[i].len()).max().unwrap_or(0);
    let mut out = format!("  {}\n", shown.title);
    for (n, row) in rows.iter().enumerate() {
        let line: Vec<String> =
            row.iter().enumerate().map(|(i, cell)| format!("{cell:<w$}", w = width(i))).collect();
        let _ = writeln!(out, "  | {} |", line.join(" | "));
        if n == 0 {
            let rule: Vec<String> = (0..5).map(|i| "-".repeat(width(i))).collect();
            let _ = writeln!(out, "  | {} |", rule.join(" | "));
        }
    }
    out
}

/// Everything after the last table.
pub fn summary(report: &Report) -> String {
    let mut out = String::new();
    let _ = execution(&mut out, report);
    let _ = endpoints(&mut out, report);
    let _ = figures(&mut out, report);
    let _ = invariants(&mut out, report);
    out
}

fn execution(out: &mut String, report: &Report) -> std::fmt::Result {
    let execution = &report.execution;
    writeln!(out, "Execution {} after {}", execution.status, duration(execution.virtual_s))?;
    if let Some(error) = &execution.error {
        writeln!(out, "  {error}: see docs/runbook.md under that name")?;
    }
    if let Some(cause) = &execution.cause {
        writeln!(out, "  {cause}")?;
    }
    Ok(())
}

fn endpoints(out: &mut String, report: &Report) -> std::fmt::Result {
    let text = |v: &Value| v.as_str().unwrap_or("-").to_owned();
    let list = |v: &Value| v.as_array().cloned().unwrap_or_default();
    let rows = list(&report.endpoints);
    if !rows.is_empty() {
        writeln!(out, "\nEndpoints")?;
    }
    for e in rows {
        writeln!(out, "  {} {}", text(&e["region"]), text(&e["role"]))?;
        writeln!(out, "    old  {}", text(&e["old"]))?;
        writeln!(out, "    new  {}", text(&e["new"]))?;
    }
    let consumers = list(&report.consumers);
    if !consumers.is_empty() {
        writeln!(out, "\nWhat clients use")?;
    }
    for c in consumers {
        writeln!(out, "  {} {} in {}", text(&c["consumer"]), text(&c["name"]), text(&c["place"]))?;
        writeln!(out, "    old  {}", text(&c["from"]))?;
        writeln!(out, "    new  {}", text(&c["to"]))?;
        let since = match c["seconds_after_promotion"].as_f64() {
            Some(seconds) => format!("{seconds:.1} s after the promotion"),
            None => "home was promoted by an earlier run".to_owned(),
        };
        writeln!(out, "    {}, {since}", proof(&text(&c["proof"])))?;
    }
    let snapshots = list(&report.final_snapshots);
    if !snapshots.is_empty() {
        writeln!(out, "\nFinal snapshots")?;
    }
    for s in snapshots {
        let status = text(&s["status"]);
        writeln!(out, "  {} {} ({status})", text(&s["region"]), text(&s["snapshot_id"]))?;
    }
    Ok(())
}

/// By what it is known that a consumer points there.
fn proof(name: &str) -> &str {
    match name {
        "answered" => "its name servers answer so",
        "in_sync" => "its name servers are in sync",
        "read_back" => "read back",
        _ => "no proof",
    }
}

fn figures(out: &mut String, report: &Report) -> std::fmt::Result {
    let clients = &report.clients;
    writeln!(out, "\nMeasured")?;
    writeln!(out, "  rows written            {}", clients.rows_written)?;
    writeln!(out, "  rows lost               {}", clients.rows_lost)?;
    writeln!(
        out,
        "  seconds without writes  {:.1} (longest interruption {:.1})",
        clients.seconds_without_writes, clients.longest_interruption_s
    )?;
    if let Some(floor) = &report.floor {
        writeln!(out, "  fence to first write    {:.1}, of which", floor.seconds)?;
        for part in &floor.parts {
            writeln!(out, "    {:<26}{:>7.1}", part.part, part.seconds)?;
        }
    }
    let split = clients.moments_with_two_writable_clusters.len();
    writeln!(out, "  two writable clusters   {split} moments")?;
    writeln!(
        out,
        "  state transitions       {} (${:.4})",
        report.transitions, report.transitions_dollars
    )?;
    let calls = &report.api_calls;
    writeln!(
        out,
        "  API calls               {} ({} of them change something)",
        calls.total, calls.mutating
    )?;
    writeln!(out, "\nVirtual time by phase")?;
    for phase in &report.phases {
        writeln!(out, "  {:<32}{:>12}", phase.phase, duration(phase.virtual_s))?;
    }
    Ok(())
}

fn invariants(out: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(out, "\nInvariants of SAFETY.md")?;
    for invariant in &report.invariants {
        let mark = if invariant.held { "held  " } else { "BROKEN" };
        writeln!(out, "  {mark}  {}: {}", invariant.name, invariant.seen)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_read_as_a_person_says_them() {
        assert_eq!(duration(4.24), "4.2s");
        assert_eq!(duration(754.2), "12m 34s");
        assert_eq!(duration(3_725.0), "1h 02m 05s");
    }
}
