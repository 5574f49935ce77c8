//! Benchmarks of our own pallets; upstream's come with weights of their own.

frame_benchmarking::define_benchmarks!(
	[pallet_attribution, Attribution]
	[pallet_datanets, Datanets]
	[pallet_inference, Inference]
	[pallet_models, Models]
	[pallet_validators, Validators]
	[pallet_workers, Workers]
);
