import ModelCore

/// The generators of one seed, and what torch would have been set to.
public struct Seeds: Sendable {
  /// As `torch.manual_seed`.
  public var torch: TorchGenerator
  /// As `np.random.seed`.
  public var numpy: NumPyGenerator
  /// As `random.seed`.
  public var python: PythonGenerator
  /// `torch.backends.cudnn.deterministic`.
  public let isCUDNNDeterministic: Bool
  /// `torch.backends.cudnn.benchmark`: whether cuDNN tries its algorithms and takes the fastest.
  public let isCUDNNBenchmarked: Bool
}

/// YOLOv5's `init_seeds` with its `init_torch_seeds`: seeds torch's, NumPy's and Python's generators. Seed 0 means
/// reproducible and not benchmarked, any other the reverse.
/// - Throws: `ModelError` for a seed beyond 32 bits, which NumPy refuses.
public func initSeeds(_ seed: UInt64 = 0) throws -> Seeds {
  Seeds(
    torch: TorchGenerator(seed: seed), numpy: try NumPyGenerator(seed: seed), python: PythonGenerator(seed: seed),
    isCUDNNDeterministic: seed == 0, isCUDNNBenchmarked: seed != 0)
}
