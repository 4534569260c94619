import ModelCheckpoints
import ModelCore
import ModelData
import ModelRandom

/// Batches of a detection set, so that tests can compare them with the originals'.
///
/// Arguments are `key=value`: `size`, `batch`, `epochs`, `seed`, `threads`, `sampling` (`original`: one stream, as with
/// 0 workers; `own`: each sample's; `none`: square, no augmentation; `rectangles`), and the hyper-parameters by their
/// names in YOLOv6.
struct DetectionData {
  private let set: DetectionSet
  private var options: [String: String] = [:]

  init(_ description: String, _ part: String, _ arguments: [String]) throws {
    set = try Self.set(description, part)
    for argument in arguments {
      let parts = argument.split(separator: "=", maxSplits: 1).map(String.init)
      guard parts.count == 2 else { throw ModelError(.invalid, "\(argument) is no key=value") }
      options[parts[0]] = parts[1]
    }
  }

  static func set(_ description: String, _ part: String) throws -> DetectionSet {
    try DetectionDescription(contentsOf: description).set(Self.part(part))
  }

  private static func part(_ name: String) throws -> DetectionDescription.Part {
    guard let part = DetectionDescription.Part(rawValue: name) else {
      throw ModelError(.invalid, "\(name) is neither train, val nor test")
    }
    return part
  }

  static func check(_ description: String, _ part: String) throws {
    let report = try DetectionDescription(contentsOf: description).report(Self.part(part))
    print("\(report.pictureCount) pictures, \(report.boxCount) boxes, \(report.unlabelledCount) without labels")
    for fault in report.faults { print("fault: \(fault)") }
    for note in report.notes { print("note: \(note)") }
  }

  private func number(_ key: String, _ other: Double) -> Double { options[key].flatMap { Double($0) } ?? other }
  private func integer(_ key: String, _ other: Int) -> Int { options[key].flatMap { Int($0) } ?? other }

  private var augmentation: DetectionAugmentation {
    DetectionAugmentation(
      hue: number("hsv_h", 0), saturation: number("hsv_s", 0), value: number("hsv_v", 0),
      degrees: number("degrees", 0), translate: number("translate", 0), scale: number("scale", 0),
      shear: number("shear", 0), flipUpDown: number("flipud", 0), flipLeftRight: number("fliplr", 0),
      mosaic: number("mosaic", 0), mixup: number("mixup", 0))
  }

  /// Writes `<batch>.inputs` (uint8), `.targets`, `.indices` and, of pictures that are not augmented, `.placements`, rows
  /// of original size, ratio and padding; and `next`, what Python, NumPy and torch would draw next.
  func write(to output: String) throws {
    let sampling = options["sampling"] ?? "original"
    let (size, batch, seed) = (integer("size", 640), integer("batch", 16), UInt64(max(0, integer("seed", 0))))
    let isAugmented = ["original", "own"].contains(sampling)
    let loader = try DetectionLoader(
      set, imageSize: size, augmentation: isAugmented ? augmentation : nil, dtype: .uint8, seed: seed,
      threads: integer("threads", 2))
    var generators = try AugmentationGenerators(seed: seed)
    var torch = TorchGenerator(seed: seed)
    SampleOrder.skipBaseSeed(of: &torch)
    var results = StateDict()
    var made = 0
    for epoch in 0..<integer("epochs", 1) {
      let order = isAugmented ? try SampleOrder.continued(set.count, drawing: &torch) : Array(0..<set.count)
      let indices = try SampleOrder.batches(order, size: batch)
      let batches =
        switch sampling {
        case "original": try loader.batches(indices, drawing: &generators)
        case "rectangles":
          try loader.batches(RectangularBatches(set, batchSize: batch, imageSize: size, padding: number("pad", 0.5)))
        default: try loader.batches(epoch: epoch, indices)
        }
      while let batch = try batches.next() {
        results["\(made).inputs"] = try batch.tensor()
        results["\(made).targets"] = try batch.targets()
        results["\(made).indices"] = try Tensor(batch.indices.map { Int64($0) })
        let placements = batch.placements.compactMap { $0 }
        if placements.count == batch.indices.count {
          let rows = placements.flatMap { $0.originalSize.map { Double($0) } + $0.ratio + $0.padding }
          results["\(made).placements"] = try Tensor(rows, [placements.count, 6])
        }
        made += 1
      }
    }
    results["next"] = try Tensor([
      generators.python.random(), generators.numPy.uniform(), Double(torch.next32()),
    ])
    try Checkpoint(results).write(to: output)
  }
}
