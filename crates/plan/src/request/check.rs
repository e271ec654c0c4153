//! What a request must be like before anything is looked at: names that AWS takes, fields that do
//! not contradict each other, waits that end.

use super::{
    DataApi, DnsRequest, Endpoints, InvalidRequest, Request, SecretRequest, Side, superset,
};

impl Request {
    pub(super) fn check(&self) -> Result<(), InvalidRequest> {
        for (name, side) in [("home", &self.home), ("away", &self.away)] {
            side.check(name)?;
        }
        if self.home.region == self.away.region {
            return Err(InvalidRequest::new(
                "away.region",
                format!("is `{}`, the same Region as home.region", self.away.region),
            ));
        }
        let globals = &self.global_clusters;
        for (field, id) in [
            ("global_clusters.former", &globals.former),
            ("global_clusters.restoring", &globals.restoring),
            ("global_clusters.restored", &globals.restored),
        ] {
            check_id(field, id)?;
        }
        distinct(&[
            ("global_clusters.former", &globals.former),
            ("global_clusters.restoring", &globals.restoring),
            ("global_clusters.restored", &globals.restored),
        ])?;
        // Aurora wants cluster ids unique across all Regions of one global database.
        distinct(&[
            ("home.cluster_id", &self.home.cluster_id),
            ("home.restored_cluster_id", &self.home.restored_cluster_id),
            ("away.cluster_id", &self.away.cluster_id),
            ("away.restored_cluster_id", &self.away.restored_cluster_id),
        ])?;
        self.endpoints.check()?;
        superset::check(&self.endpoints.superset, [&self.home.region, &self.away.region])?;
        self.check_limits()
    }

    fn check_limits(&self) -> Result<(), InvalidRequest> {
        let l = &self.limits;
        for (field, value) in [
            ("limits.detach_s", l.detach_s),
            ("limits.delete_s", l.delete_s),
            ("limits.create_s", l.create_s),
            ("limits.configure_s", l.configure_s),
            ("limits.fence_s", l.fence_s),
            ("limits.catch_up_s", l.catch_up_s),
            ("limits.promote_s", l.promote_s),
            ("limits.dns_s", l.dns_s),
            ("limits.applications_s", l.applications_s),
            ("limits.verify_s", l.verify_s),
            ("limits.lag_samples", l.lag_samples),
            ("limits.approval_s", l.approval_s),
            ("limits.stable_s", l.stable_s),
            ("limits.recover_s", l.recover_s),
        ] {
            if value == 0 {
                return Err(InvalidRequest::new(field, "is 0; it must be at least 1"));
            }
            if value > 86_400 {
                return Err(InvalidRequest::new(
                    field,
                    format!("is {value}; at most 86400 is allowed"),
                ));
            }
        }
        if l.stable_s >= l.recover_s {
            let problem = format!("is {}; it must be less than limits.recover_s", l.stable_s);
            return Err(InvalidRequest::new("limits.stable_s", problem));
        }
        Ok(())
    }
}

impl Side {
    fn check(&self, name: &str) -> Result<(), InvalidRequest> {
        if !is_region(&self.region) {
            return Err(InvalidRequest::new(
                format!("{name}.region"),
                format!("is `{}`, which is not the name of a Region", self.region),
            ));
        }
        check_id(&format!("{name}.cluster_id"), &self.cluster_id)?;
        check_id(&format!("{name}.restored_cluster_id"), &self.restored_cluster_id)?;
        if self.restored_instances.is_empty() {
            return Err(InvalidRequest::new(
                format!("{name}.restored_instances"),
                "is empty; a cluster without an instance cannot be promoted",
            ));
        }
        let mut ids = Vec::new();
        for (i, instance) in self.restored_instances.iter().enumerate() {
            let field = format!("{name}.restored_instances[{i}].id");
            check_id(&field, &instance.id)?;
            if ids.contains(&&instance.id) {
                return Err(InvalidRequest::new(field, format!("repeats `{}`", instance.id)));
            }
            ids.push(&instance.id);
        }
        if let Some(id) = &self.final_snapshot_id {
            let field = format!("{name}.final_snapshot_id");
            if !is_identifier(id, 255) {
                return Err(InvalidRequest::new(
                    field,
                    format!("is `{id}`, which {SNAPSHOT_GRAMMAR}"),
                ));
            }
        }
        self.network.check(name)?;
        if let Some(DataApi { secret_arn }) = &self.data_api {
            let parts: Vec<&str> = secret_arn.split(':').collect();
            let is_secret = matches!(parts[..], ["arn", _, "secretsmanager", region, _, "secret", _] if region == self.region);
            if !is_secret {
                return Err(InvalidRequest::new(
                    format!("{name}.data_api.secret_arn"),
                    format!("is not the ARN of a Secrets Manager secret in {}", self.region),
                ));
            }
        }
        Ok(())
    }
}

impl Endpoints {
    fn check(&self) -> Result<(), InvalidRequest> {
        for (i, record) in self.dns.iter().enumerate() {
            let field = format!("endpoints.dns[{i}]");
            record.check(&field)?;
            let is_it = |other: &DnsRequest| other.key() == record.key();
            if self.dns[..i].iter().any(is_it) {
                return Err(InvalidRequest::new(format!("{field}.name"), "stands there twice"));
            }
        }
        for (i, secret) in self.secrets.iter().enumerate() {
            secret.check(&format!("endpoints.secrets[{i}]"))?;
        }
        Ok(())
    }
}

impl SecretRequest {
    fn check(&self, field: &str) -> Result<(), InvalidRequest> {
        let refuse = |part: &str, problem: &str| {
            Err(InvalidRequest::new(format!("{field}.{part}"), problem))
        };
        match (&self.secret_arn, &self.name, &self.region) {
            (Some(arn), None, None) => {
                let parts: Vec<&str> = arn.split(':').collect();
                match parts[..] {
                    ["arn", _, "secretsmanager", region, _, "secret", name]
                        if is_region(region) && !name.is_empty() =>
                    {
                        Ok(())
                    }
                    _ => refuse("secret_arn", "is not the ARN of a Secrets Manager secret"),
                }
            }
            (Some(_), _, _) => {
                refuse("secret_arn", "stands beside a name or a Region; one of both")
            }
            (None, None, _) => refuse("secret_arn", "is missing; give it, or a name and a Region"),
            (None, Some(_), None) => refuse("region", "is missing; a name alone is not enough"),
            (None, Some(name), Some(region)) => {
                let fits = |c: char| c.is_ascii_alphanumeric() || "/_+=.@!-".contains(c);
                if name.is_empty() || name.len() > 512 || !name.chars().all(fits) {
                    return refuse("name", "is not the name of a Secrets Manager secret");
                }
                if !is_region(region) {
                    return refuse("region", "is not the name of a Region");
                }
                Ok(())
            }
        }
    }
}

impl DnsRequest {
    /// Which record it is, whatever the name is written like.
    fn key(&self) -> (&str, String, Option<&str>) {
        let name = self.name.trim_end_matches('.').to_ascii_lowercase();
        (&self.zone_id, name, self.set_identifier.as_deref())
    }

    fn check(&self, field: &str) -> Result<(), InvalidRequest> {
        if self.zone_id.is_empty() {
            return Err(InvalidRequest::new(format!("{field}.zone_id"), "is empty"));
        }
        if self.name.trim_end_matches('.').is_empty() {
            return Err(InvalidRequest::new(format!("{field}.name"), "is empty"));
        }
        if let Some(ttl_s) = self.ttl_s.filter(|ttl_s| !(0..=86_400).contains(ttl_s)) {
            return Err(InvalidRequest::new(
                format!("{field}.ttl_s"),
                format!("is {ttl_s}; it must be between 0 and 86400 seconds"),
            ));
        }
        Ok(())
    }
}

const ID_GRAMMAR: &str = "is not 1 to 63 lower-case letters, digits and single hyphens that start \
                          with a letter and do not end with a hyphen";
const SNAPSHOT_GRAMMAR: &str = "is not 1 to 255 letters, digits and single hyphens that start with \
                                a letter and do not end with a hyphen";

/// RDS stores identifiers in lower case: an upper-case letter here would never be found again.
fn check_id(field: &str, id: &str) -> Result<(), InvalidRequest> {
    if is_identifier(id, 63) && !id.contains(|c: char| c.is_ascii_uppercase()) {
        return Ok(());
    }
    Err(InvalidRequest::new(field, format!("is `{id}`, which {ID_GRAMMAR}")))
}

fn is_identifier(id: &str, longest: usize) -> bool {
    id.len() <= longest
        && id.starts_with(|c: char| c.is_ascii_alphabetic())
        && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        && !id.contains("--")
        && !id.ends_with('-')
}

/// Two or three words and a number, as in `us-gov-west-1`.
pub(super) fn is_region(name: &str) -> bool {
    let parts: Vec<&str> = name.split('-').collect();
    let [words @ .., number] = &parts[..] else { return false };
    (2..=3).contains(&words.len())
        && words.iter().all(|w| !w.is_empty() && w.chars().all(|c| c.is_ascii_lowercase()))
        && !number.is_empty()
        && number.chars().all(|c| c.is_ascii_digit())
}

fn distinct(fields: &[(&str, &String)]) -> Result<(), InvalidRequest> {
    for (i, (field, id)) in fields.iter().enumerate() {
        if let Some((other, _)) = fields[..i].iter().find(|(_, earlier)| earlier == id) {
            return Err(InvalidRequest::new(*field, format!("is `{id}`, the same as {other}")));
        }
    }
    Ok(())
}
