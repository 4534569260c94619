import CKernels
import FoundationEssentials
import ModelUtils
import SystemPackage

/// Measures prune, fuse, sparsity and averages of models in memory, building one, and what the machine allows.
/// `bench.py` runs it beside its peers.
///
///     benchmark REPETITIONS MODEL.pt...
///
/// Each MODEL is a whole module. Prints one JSON object.
@main
enum Benchmark {
  static func main() throws {
    let arguments = CommandLine.arguments.dropFirst()
    guard let repetitions = arguments.first.flatMap({ Int($0) }), repetitions > 0, arguments.count > 1 else {
      throw ModelError(.invalid, "usage: benchmark REPETITIONS MODEL.pt...")
    }
    let models = try arguments.dropFirst().map { path in
      guard let module = try Checkpoint(contentsOf: FilePath(path)).preferred.module else {
        throw ModelError(.invalid, "holds no whole module", file: path)
      }
      return try Measurement(of: module, file: path, repetitions: repetitions)
    }
    let report = Report(
      simd: String(cString: mk_simd_level()), threads: Parallel.threadCount, models: models,
      builds: try builds(repetitions), flops: try flops(repetitions))
    print(String(decoding: try JSONEncoder().encode(report), as: UTF8.self))
  }

  /// The seconds that the FLOPs of YOLOv5x at 640 pixels take.
  private static func flops(_ repetitions: Int) throws -> Report.Flops {
    let module = try Architecture(named: "yolov5x").module()
    var seconds: [Double] = []
    for _ in 0...repetitions {
      let duration = ContinuousClock().measure { _ = module.modelInfo(imageSize: (640, 640)) }
      seconds.append(duration / .seconds(1))
    }
    let thop = module.modelInfo(imageSize: (640, 640)).gflops?.thop
    return Report.Flops(seconds: Array(seconds.dropFirst()), gigaflops: thop)
  }

  /// The seconds that building and initialising ResNet-50 takes, after one that warms up.
  private static func builds(_ repetitions: Int) throws -> [Double] {
    let architecture = try Architecture(named: "resnet50")
    return try (0...repetitions).map { _ in
      var generator = TorchGenerator(seed: 0)
      let duration = try ContinuousClock().measure { _ = try architecture.module(using: &generator) }
      return duration / .seconds(1)
    }.dropFirst().map { $0 }
  }
}

private struct Report: Encodable {
  /// The instruction set that the kernels use.
  let simd: String
  let threads: Int
  let models: [Measurement]
  let builds: [Double]
  let flops: Flops

  struct Flops: Encodable {
    let seconds: [Double]
    let gigaflops: Double?
  }
}
