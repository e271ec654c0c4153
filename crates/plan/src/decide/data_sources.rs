//! Data sources of the applications: which move with the writer, and which wait for away.

use crate::request::PointsTo;
use crate::task::{DataSource, DataSources, Endpoint, EndpointKind, Point, Superset};

use super::Draft;

/// Why a run goes on although both clusters are as they shall be.
pub(super) const STILL_TO_BE_LOOKED_AT: &str = "the failback of the database is complete; the data sources of the applications are looked at, \
     and moved where they are not";

impl Draft<'_> {
    /// What becomes of each data source that the request names.
    pub(super) fn data_sources(&self) -> DataSources {
        let mut all = DataSources::default();
        for instance in &self.request.endpoints.superset {
            let superset = Superset {
                url: instance.url.trim_end_matches('/').to_owned(),
                login_secret_arn: instance.login_secret_arn.clone(),
                provider: instance.provider,
            };
            for source in &instance.data_sources {
                let to = source.points_to.map(|points_to| self.endpoint(points_to));
                let point = to.zip(source.password_secret_arn.clone());
                let waits =
                    !matches!(source.points_to, Some(PointsTo::HomeWriter | PointsTo::HomeReader));
                let list = if waits { &mut all.away } else { &mut all.home };
                list.push(DataSource {
                    superset: superset.clone(),
                    name: source.name.clone(),
                    remove: source.remove,
                    point: point.map(|(to, password_secret_arn)| Point {
                        to,
                        password_secret_arn,
                        rename_to: source.rename_to.clone(),
                    }),
                });
            }
        }
        all
    }

    fn endpoint(&self, points_to: PointsTo) -> Endpoint {
        let (cluster, endpoint) = match points_to {
            PointsTo::HomeWriter => (&self.home_restored, EndpointKind::Writer),
            PointsTo::HomeReader => (&self.home_restored, EndpointKind::Reader),
            PointsTo::AwayReader => (&self.away_restored, EndpointKind::Reader),
        };
        Endpoint {
            region: cluster.region.clone(),
            cluster_id: cluster.cluster_id.clone(),
            endpoint,
        }
    }
}
