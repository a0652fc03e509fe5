//! The column families and their options.

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamilyDescriptor, DBCompressionType, DBRecoveryMode,
    DataBlockIndexType, Options,
};

use super::{
    StoreOptions,
    database::{
        BODIES, HEADERS, HISTORY, INDEX, META, PAST_VALUES, RECEIPTS, STATE_BUCKETS, VALUES,
    },
};

/// What a column is used for decides its options.
enum Use {
    /// Few or sequential entries, read now and then.
    Plain,
    /// Large values that compress.
    Bulk,
    /// Point reads at random, often of keys that are absent.
    Lookup,
    /// Values of some 400 bytes that are mostly hashes, point reads in ascending order of keys that
    /// nearly always exist, and overwriting at random.
    Buckets,
}

const COLUMNS: [(&str, Use); 9] = [
    (META, Use::Plain),
    (HEADERS, Use::Plain),
    (BODIES, Use::Bulk),
    (RECEIPTS, Use::Bulk),
    (INDEX, Use::Lookup),
    (VALUES, Use::Lookup),
    (PAST_VALUES, Use::Plain),
    (HISTORY, Use::Plain),
    (STATE_BUCKETS, Use::Buckets),
];

/// Write buffers of one column; how many bytes all of them may take together is capped besides.
const BUFFER_BYTES: usize = 32 << 20;

/// The database's options and the columns with theirs.
pub(super) fn options(
    options: &StoreOptions,
    read_only: bool,
) -> (Options, Vec<ColumnFamilyDescriptor>) {
    let cache = Cache::new_lru_cache(options.cache_bytes);
    let mut db = Options::default();
    if !read_only {
        db.create_if_missing(true);
        db.create_missing_column_families(true);
    }
    db.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    db.set_track_and_verify_wals_in_manifest(true);
    db.set_paranoid_checks(true);
    db.set_db_write_buffer_size(options.write_buffer_bytes);
    db.set_max_total_wal_size(options.write_buffer_bytes as u64 * 2);
    db.set_max_background_jobs(2);
    // All tables stay open: checked when opened, and readable though a process beside drops them.
    db.set_max_open_files(-1);
    // RocksDB's own log holds no personal data, but it grows.
    db.set_keep_log_file_num(2);
    db.set_max_log_file_size(1 << 20);
    db.set_stats_dump_period_sec(0);
    let columns: Vec<ColumnFamilyDescriptor> = COLUMNS
        .iter()
        .map(|(name, usage)| ColumnFamilyDescriptor::new(*name, column_options(usage, &cache)))
        .collect();
    (db, columns)
}

fn column_options(usage: &Use, cache: &Cache) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    let mut options = Options::default();
    options.set_level_compaction_dynamic_level_bytes(true);
    options.set_write_buffer_size(BUFFER_BYTES);
    match usage {
        Use::Plain => options.set_compression_type(DBCompressionType::None),
        Use::Bulk => {
            options.set_compression_type(DBCompressionType::Lz4);
            table.set_block_size(16 << 10);
        }
        Use::Lookup => {
            // Hashes, keys and roots do not compress.
            options.set_compression_type(DBCompressionType::None);
            table.set_bloom_filter(10.0, false);
            options.set_memtable_whole_key_filtering(true);
            options.set_memtable_prefix_bloom_ratio(0.02);
        }
        Use::Buckets => {
            options.set_compression_type(DBCompressionType::None);
            table.set_block_size(4 << 10);
            table.set_bloom_filter(10.0, false);
            table.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
            options.set_optimize_filters_for_hits(true);
            options.set_max_write_buffer_number(3);
            options.set_target_file_size_base(32 << 20);
        }
    }
    options.set_block_based_table_factory(&table);
    options
}
