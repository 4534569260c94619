import Foundation
import ModelCore
import ModelData
import ModelRandom
import TestSupport
import Testing

@Suite struct TransformsTests {
  let goldens: [String: Any]
  init() throws { goldens = try golden("transforms.json") }

  @Test func partsAsTorchvision() throws {
    let items = try #require(goldens["parts"] as? [[String: Any]])
    #expect(items.count == 40)
    for item in items {
      let (size, seed) = (try #require(item["size"] as? [Int]), try #require(item["seed"] as? Int))
      let ranges = [item["scale"], item["ratio"]].compactMap { ($0 as? [NSNumber])?.map(\.doubleValue) }
      var generator = TorchGenerator(seed: UInt64(seed))
      let parts = (0..<3).map { _ in
        CropRectangle.resized(
          height: size[0], width: size[1], scale: ranges[0][0]...ranges[0][1], ratio: ranges[1][0]...ranges[1][1],
          drawing: &generator)
      }
      #expect(parts.map { [$0.top, $0.left, $0.height, $0.width] } == item["parts"] as? [[Int]], "seed \(seed)")
      #expect(Int(generator.next32()) % 1_000_000 == item["next"] as? Int, "seed \(seed)")
    }
  }

  private static let recipes: [String: [PictureTransform]] = [
    "training": [.randomResizedCrop(height: 16, width: 16), .randomHorizontalFlip()],
    "evaluation": [.resize(shorterSide: 20), .centerCrop(height: 16, width: 16)],
    "exact": [.resizeExactly(height: 9, width: 30)],
    "bicubic": [.resizeExactly(height: 60, width: 21, filter: .bicubic)],
    "wide": [.centerCrop(height: 60, width: 40)],
    "cifar": [.randomCrop(height: 24, width: 24, padding: 4), .randomHorizontalFlip()],
  ]

  @Test func picturesAsTorchvision() throws {
    let items = try #require(goldens["cases"] as? [[String: Any]])
    #expect(items.count == 24)
    for item in items {
      let (name, seed) = (try #require(item["recipe"] as? String), try #require(item["seed"] as? Int))
      let size = try #require(item["picture"] as? [Int])
      let recipe = try PicturePreprocessing(#require(Self.recipes[name]), channels: size[2])
      var generator = TorchGenerator(seed: UInt64(seed))
      let result = try recipe.transformed(picture(size[0], size[1], size[2]), drawing: &generator)
      #expect(Array(result.shape.prefix(2)) == item["size"] as? [Int])
      let expected = bytes(item["bytes"] as? String)
      let differences = try zip(result.bytes(), expected).map { abs(Int($0) - Int($1)) }
      // Pillow 13 resizes some pictures down before across, and rounds in between.
      #expect(differences.count == expected.count && (differences.max() ?? 0) <= 1, "\(name), seed \(seed)")
    }
  }

  @Test func inputsAsTorchvision() throws {
    let recipe = try PicturePreprocessing(
      [], mean: PicturePreprocessing.imageNetMean, standardDeviation: PicturePreprocessing.imageNetStandardDeviation)
    var generator = TorchGenerator(seed: 0)
    let inputs = try recipe(picture(3, 5, 3), drawing: &generator)
    #expect(inputs.shape == [3, 3, 5])
    #expect(try inputs.bytes() == bytes(goldens["inputs"] as? String))
  }

  @Test func channels() throws {
    var generator = TorchGenerator(seed: 0)
    let grey = try PicturePreprocessing([], channels: 1).transformed(picture(6, 7, 3), drawing: &generator)
    #expect(try grey.bytes() == bytes(goldens["grey"] as? String))
    let colours = try PicturePreprocessing([]).transformed(Tensor([1, 2] as [UInt8], [1, 2, 1]), drawing: &generator)
    #expect(try colours.bytes() == [1, 1, 1, 2, 2, 2])
  }

  @Test func refusals() throws {
    var generator = TorchGenerator(seed: 0)
    let small = try picture(4, 5, 3)
    let part = PictureTransform.randomCrop(height: 5, width: 5)
    #expect(
      refusal { _ = try part(small, drawing: &generator) } == "a part of [5, 5] is larger than the picture of [4, 5]")
    #expect(refusal { _ = try part(Tensor([1.5], [1, 1, 1]), drawing: &generator) } != nil)
    for bad: PictureTransform in [
      .resize(shorterSide: 0), .centerCrop(height: -1, width: 3), .randomHorizontalFlip(probability: 1.5),
      .randomResizedCrop(height: 3, width: 3, scale: 0...1), .randomCrop(height: 1, width: 1, padding: -1),
    ] {
      #expect(refusal { _ = try PicturePreprocessing([bad]) } != nil)
    }
    #expect(refusal { _ = try PicturePreprocessing([], channels: 2) } != nil)
    #expect(refusal { _ = try PicturePreprocessing([], mean: [1, 2]) } != nil)
    #expect(refusal { _ = try PicturePreprocessing([], standardDeviation: [0]) } != nil)
  }
}
