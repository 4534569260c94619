import ModelCore
import ModelData
import ModelImages
import ModelRandom
import TestSupport
import Testing

@Suite struct DetectionLoaderTests {
  let folder: TemporaryFolder
  let set: DetectionSet
  private let goldens: [String: Any]

  init() throws {
    goldens = try golden("detection.json")
    folder = try TemporaryFolder()
    let sizes = try #require(goldens["sizes"] as? [[Int]])
    let rows = try #require(goldens["rows"] as? [[String]])
    for (index, size) in sizes.enumerated() {
      try FolderMaker.make(folder["images/\(index).png"])
      try FolderMaker.make(folder["labels/\(index).txt"])
      try ImageFile(pixels: picture(size[0], size[1], 3)).write(to: folder["images/\(index).png"])
      try folder.write(rows[index].joined(separator: "\n"), to: "labels/\(index).txt")
    }
    try folder.write("train: images\nnames: [a, b]\n", to: "data.yaml")
    set = try DetectionDescription(contentsOf: folder["data.yaml"]).set(.train)
  }

  private static let recipes: [String: DetectionAugmentation] = [
    "plain": .none,
    "affine": DetectionAugmentation(
      hue: 0, saturation: 0, value: 0, degrees: 20, translate: 0.2, scale: 0.4, shear: 9, flipUpDown: 0.5, mosaic: 0),
    "mosaic": DetectionAugmentation(hue: 0, saturation: 0, value: 0),
    "all": DetectionAugmentation(degrees: 20, shear: 4, flipUpDown: 0.3, mosaic: 0.8, mixup: 0.6),
  ]

  /// YOLOv6's batches with 0 workers: order, draws and boxes are the same to the last bit, pixels to 1.
  @Test(arguments: ["plain", "affine", "mosaic", "all"]) func againstYOLOv6(name: String) throws {
    let cases = try #require(goldens["cases"] as? [[String: Any]])
    let golden = try #require(cases.first { $0["name"] as? String == name })
    let seed = UInt64(try #require(golden["seed"] as? Int))
    let expected = try #require(golden["batches"] as? [[String: Any]])
    let recipe = try #require(Self.recipes[name])
    let loader = try DetectionLoader(set, imageSize: 32, augmentation: recipe, dtype: .uint8, threads: 3)
    var torch = TorchGenerator(seed: seed)
    var generators = try AugmentationGenerators(seed: seed)
    SampleOrder.skipBaseSeed(of: &torch)
    let order = try SampleOrder.continued(set.count, drawing: &torch)
    let batches = try loader.batches(SampleOrder.batches(order, size: 2), drawing: &generators)
    #expect(batches.count == expected.count)
    for golden in expected {
      let batch = try #require(try batches.next())
      #expect(batch.indices == golden["indices"] as? [Int])
      #expect(try batch.targets().floats() == (golden["targets"] as? [Double])?.map { Float($0) })
      let inputs = bytes(golden["inputs"] as? String)
      #expect(batch.shape == [batch.indices.count, 3, 32, 32] && batch.bytes.count == inputs.count)
      #expect(zip(batch.bytes, inputs).allSatisfy { abs(Int($0) - Int($1)) <= 1 })
      #expect(batch.placements.allSatisfy { $0 == nil })
      #expect(batch.files == batch.indices.map { folder["images/\($0).png"] })
    }
    #expect(try batches.next() == nil)
    // Foundation's reader of JSON moves last bits.
    let next = try #require(golden["next"] as? [Double])
    #expect(abs(generators.python.random() - next[0]) < 1e-15 && abs(generators.numPy.uniform() - next[1]) < 1e-15)
  }

  private func all(_ batches: EpochBatches<DetectionBatch>) throws -> [([UInt8], [[BoxLabel]])] {
    var made: [([UInt8], [[BoxLabel]])] = []
    while let batch = try batches.next() {
      let sample = batch.bytes.count / batch.indices.count
      for position in batch.indices.indices {
        made.append((Array(batch.bytes[position * sample..<(position + 1) * sample]), [batch.labels[position]]))
      }
    }
    return made
  }

  @Test func samplesHaveGeneratorsOfTheirOwn() throws {
    let recipe = try #require(Self.recipes["all"])
    let order = [4, 2, 2, 0, 1, 3]
    let one = try DetectionLoader(set, imageSize: 24, augmentation: recipe, seed: 3, threads: 1, prefetch: 1)
    let many = try DetectionLoader(set, imageSize: 24, augmentation: recipe, seed: 3, threads: 4, cachedBytes: 0)
    let expected = try all(one.batches(epoch: 1, [order]))
    let found = try all(many.batches(epoch: 1, order.map { [$0] }))
    #expect(found.map(\.0) == expected.map(\.0) && found.map(\.1) == expected.map(\.1))
    // The same picture at two places is augmented twice; other epochs and seeds differ.
    #expect(expected[1].0 != expected[2].0)
    #expect(try all(many.batches(epoch: 2, [order])).map(\.0) != expected.map(\.0))
    let other = try DetectionLoader(set, imageSize: 24, augmentation: recipe, seed: 4)
    #expect(try all(other.batches(epoch: 1, [order])).map(\.0) != expected.map(\.0))
    // What is kept is never changed: the second time the epoch is the same.
    #expect(try all(one.batches(epoch: 1, [order])).map(\.0) == expected.map(\.0))
  }

  @Test func floatsAreBytesOver255() throws {
    let recipe = try #require(Self.recipes["all"])
    let floats = try DetectionLoader(set, imageSize: 16, augmentation: recipe).batches(epoch: 0, [[0, 1]]).next()
    let bytes = try DetectionLoader(set, imageSize: 16, augmentation: recipe, dtype: .uint8)
      .batches(epoch: 0, [[0, 1]]).next()
    let (a, b) = (try #require(floats), try #require(bytes))
    #expect(a.dtype == .float32 && b.dtype == .uint8)
    #expect(try a.tensor().floats() == b.bytes.map { Float($0) / 255 })
    #expect(try a.targets().bytes() == b.targets().bytes() && b.tensor().shape == [2, 3, 16, 16])
  }

  @Test func rectangles() throws {
    let rectangles = try RectangularBatches(set, batchSize: 2, imageSize: 64)
    // Widths over heights: 31/20, 1, 17/33, 40/64, 47/15.
    #expect(rectangles.indices == [[2, 3], [1, 0], [4]])
    #expect(rectangles.sizes == [[96, 64], [96, 96], [64, 96]])
    #expect(try RectangularBatches(set, batchSize: 9, imageSize: 160).sizes == [[192, 192]])
    #expect(try RectangularBatches(set, batchSize: 1, imageSize: 160, padding: 0).sizes.last == [64, 160])
    let loader = try DetectionLoader(set, imageSize: 64, augmentation: nil, dtype: .uint8)
    let batches = try loader.batches(rectangles)
    let first = try #require(try batches.next())
    #expect(first.shape == [2, 3, 96, 64])
    // 17x33 becomes 32x64 and stands in the middle of 64x96.
    let placement = try #require(first.placements[0])
    #expect(placement.originalSize == [33, 17] && placement.padding == [16, 16])
    #expect(placement.ratio == [64.0 / 33, 32.0 / 17])
    // 40x64 has its size already; its first box is 0.3 0.3 0.5 0.4.
    let second = try #require(first.placements[1])
    #expect(second.padding == [16, 12] && second.ratio == [1, 1])
    let label = try #require(first.labels[1].first)
    #expect(abs(label.x - (0.3 * 40 + 12) / 64) < 1e-6 && abs(label.height - 0.4 * 64 / 96) < 1e-6)
    let boxes = try Tensor([12, 16, 52, 80, 0, 0, 500, 500] as [Float], [2, 4])
    #expect(try second.boxesInOriginal(boxes).floats() == [0, 0, 40, 64, 0, 0, 40, 64])
    #expect(try batches.next()?.indices == [1, 0] && batches.next()?.indices == [4] && batches.next() == nil)
  }

  @Test func widePicturesMayComeFirst() throws {
    let rectangles = try RectangularBatches(set, batchSize: 2, imageSize: 64, order: .wideFirst)
    #expect(rectangles.indices == [[4, 0], [1, 3], [2]])
    // Heights over widths: 15/47, 20/31; 1, 64/40; 33/17.
    #expect(rectangles.sizes == [[64, 96], [96, 96], [96, 64]])
  }

  /// 17x33, 31x20 and 47x15 at 64: what YOLOv5, YOLOv6, Ultralytics and RT-DETR resize them to.
  @Test func fits() throws {
    for (fit, sizes) in [
      (PictureFit.yolov5, [[64, 33], [42, 64], [21, 64]]), (.yolov6, [[64, 32], [41, 64], [20, 64]]),
      (.ultralytics, [[64, 33], [42, 64], [21, 64]]), (.stretched, [[64, 64], [64, 64], [64, 64]]),
    ] {
      let loader = try DetectionLoader(set, imageSize: 64, augmentation: nil, fit: fit, dtype: .uint8)
      let batch = try #require(try loader.batches(epoch: 0, [[2, 0, 4]]).next())
      for (placement, size) in zip(batch.placements, sizes) {
        let found = try #require(placement)
        #expect(zip(found.ratio, found.originalSize).map { ($0 * Double($1)).rounded() } == size.map(Double.init))
        #expect(found.padding == size.map { Double(64 - $0) / 2 })
      }
    }
    // A smaller picture by the mean of what a pixel covers, or by the nearest pixels.
    func first(_ fit: PictureFit) throws -> [UInt8] {
      let loader = try DetectionLoader(set, imageSize: 8, augmentation: nil, fit: fit, dtype: .uint8)
      return Array(try #require(try loader.batches(epoch: 0, [[1]]).next()).bytes)
    }
    #expect(try first(.yolov5) == first(.yolov6) && first(.yolov5) != first(.ultralytics))
  }

  @Test func refusals() throws {
    let recipe = DetectionAugmentation.yolov6n
    #expect(
      refusal { _ = try DetectionLoader(set, imageSize: 7, augmentation: nil) }?.contains("sides of 8 to") == true)
    #expect(refusal { _ = try DetectionLoader(set, augmentation: nil, dtype: .float16) }?.contains("uint8 or") == true)
    #expect(refusal { _ = try DetectionLoader(set, augmentation: nil, threads: 0) } != nil)
    for bad in [
      DetectionAugmentation(scale: 1.5), .init(mosaic: -1), .init(shear: 90), .init(degrees: 200), .init(hue: .nan),
    ] {
      #expect(refusal { _ = try DetectionLoader(set, augmentation: bad) } != nil)
    }
    let loader = try DetectionLoader(set, imageSize: 32, augmentation: recipe)
    #expect(refusal { _ = try loader.batches(epoch: 0, [[5]]) }?.contains("beyond the 5") == true)
    #expect(refusal { _ = try loader.batches(epoch: 0, [[0], []]) }?.contains("batch 1 is empty") == true)
    #expect(refusal { _ = try loader.batches(RectangularBatches(set, batchSize: 2, imageSize: 32)) } != nil)
    #expect(refusal { _ = try RectangularBatches(set, batchSize: 0, imageSize: 32) } != nil)
    #expect(refusal { _ = try RectangularBatches(set, batchSize: 1, imageSize: 32, padding: .nan) } != nil)
    let plain = try DetectionLoader(set, imageSize: 32, augmentation: nil)
    var generators = try AugmentationGenerators(seed: 0)
    #expect(refusal { _ = try plain.batches([[0]], drawing: &generators) }?.contains("nothing is drawn") == true)
    // A picture that another has taken the place of.
    try ImageFile(pixels: picture(20, 30, 3)).write(to: folder["images/0.png"])
    let epoch = try plain.batches(epoch: 0, [[1], [0]])
    #expect(try epoch.next()?.shape == [1, 3, 32, 32])
    let path = folder["images/0.png"].string
    #expect(refusal { _ = try epoch.next() } == "\(path): batch 1: is 30x20 pixels, and was 31x20")
    #expect(try epoch.next() == nil)
  }
}
