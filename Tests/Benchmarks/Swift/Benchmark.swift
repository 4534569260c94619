import CKernels
import FoundationEssentials
import ModelUtils
import SystemPackage

/// Measures prune, fuse, sparsity and averages of models in memory, and what the machine allows. `bench.py` runs it beside its peers.
///
///     benchmark REPETITIONS MODEL.pt...
///
/// Each MODEL is a whole module. Prints one JSON object.
@main
enum Benchmark {
  static func main() throws {
    let arguments = CommandLine.arguments.dropFirst()
    guard let repetitions = arguments.first.flatMap({ Int($0) }), repetitions > 0, arguments.count > 1 else {
      throw ModelError("usage: benchmark REPETITIONS MODEL.pt...")
    }
    let models = try arguments.dropFirst().map { path in
      guard let module = try Checkpoint(contentsOf: FilePath(path)).preferred.module else {
        throw ModelError("holds no whole module", file: path)
      }
      return try Measurement(of: module, file: path, repetitions: repetitions)
    }
    let report = Report(simd: String(cString: mk_simd_level()), threads: Parallel.threadCount, models: models)
    print(String(decoding: try JSONEncoder().encode(report), as: UTF8.self))
  }
}

private struct Report: Encodable {
  /// The instruction set that the kernels use.
  let simd: String
  let threads: Int
  let models: [Measurement]
}
