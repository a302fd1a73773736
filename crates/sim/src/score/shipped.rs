//! The measurements in this repository, as they lie there: CSV, most of it compressed with zstd.
//! Whoever reads them unpacks them. Sources, licences and formats: `crates/sim/data/README.md`.

/// A file: its name and its octets.
pub type Shipped = (&'static str, &'static [u8]);

/// Round trips between 99 machines of people.
pub const SEATTLE: &str = "seattle_001_343.csv.zst";

/// Round trips between 200 of the 490 PlanetLab nodes.
pub const PLANETLAB: &str = "planetlab_200.csv.zst";

/// Series with labelled changes.
pub const ATLAS: &str = "atlas_rtt_labelled_a.csv.zst";

/// Mean round trips between hosting servers.
pub const PINGS: &str = "wondernetwork_a.csv.zst";

/// Their places.
pub const SERVERS: &str = "wondernetwork_a_nodes.csv";

/// Round trips between and inside AWS regions.
pub const AWS: &str = "aws_regions_p50_2025-07.csv";

/// All of them.
pub const SHIPPED: [Shipped; 6] = [
    (SEATTLE, include_bytes!("../../data/seattle_001_343.csv.zst")),
    (PLANETLAB, include_bytes!("../../data/planetlab_200.csv.zst")),
    (ATLAS, include_bytes!("../../data/atlas_rtt_labelled_a.csv.zst")),
    (PINGS, include_bytes!("../../data/wondernetwork_a.csv.zst")),
    (SERVERS, include_bytes!("../../data/wondernetwork_a_nodes.csv")),
    (AWS, include_bytes!("../../data/aws_regions_p50_2025-07.csv")),
];
