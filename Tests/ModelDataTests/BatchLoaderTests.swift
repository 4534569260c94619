import ModelCore
import ModelData
import ModelImages
import TestSupport
import Testing

@Suite struct BatchLoaderTests {
  private static let count = 50

  private func pictures() throws -> ClassificationSet {
    let size = 9 * 8 * 3
    let pixels = (0..<Self.count * size).map { UInt8(truncatingIfNeeded: $0 * 7 + $0 / size * 31) }
    return try ClassificationSet(
      name: "x", pictures: Tensor(pixels, [Self.count, 9, 8, 3]), labels: (0..<Self.count).map { $0 % 5 })
  }

  private let recipe = try? PicturePreprocessing([.randomResizedCrop(height: 6, width: 5), .randomHorizontalFlip()])

  private func all(_ loader: BatchLoader, epoch: Int, _ batches: [[Int]]) throws -> [[Float]] {
    let epoch = try loader.batches(epoch: epoch, batches)
    var inputs: [[Float]] = []
    while let batch = try epoch.next() {
      #expect(batch.number == inputs.count && batch.indices == batches[batch.number])
      #expect(batch.shape == [batch.indices.count, 3, 6, 5] && batch.labels == batch.indices.map { $0 % 5 })
      inputs.append(Array(batch.inputs))
    }
    #expect(try epoch.next() == nil)
    return inputs
  }

  @Test func neitherThreadsNorWhatCameBeforeChangeAnything() throws {
    let batches = try SampleOrder.batches(Array(0..<Self.count).reversed(), size: 12)
    let one = try BatchLoader(pictures(), #require(recipe), seed: 3, threads: 1, prefetch: 1)
    let expected = try all(one, epoch: 2, batches)
    #expect(expected.map(\.count) == [12, 12, 12, 12, 2].map { $0 * 90 })
    let many = try BatchLoader(pictures(), #require(recipe), seed: 3, threads: 4, prefetch: 3)
    #expect(try all(many, epoch: 1, batches) != expected)
    #expect(try all(many, epoch: 2, batches) == expected)
    let alone = try all(many, epoch: 2, batches.flatMap { $0.map { [$0] } })
    #expect(alone.flatMap(\.self) == expected.flatMap(\.self))
    let other = try BatchLoader(pictures(), #require(recipe), seed: 4, threads: 2)
    #expect(try all(other, epoch: 2, batches) != expected)
  }

  @Test func batchesThatAreKeptStay() throws {
    let loader = try BatchLoader(pictures(), #require(recipe), threads: 2, prefetch: 1)
    let epoch = try loader.batches(epoch: 0, SampleOrder.batches(Array(0..<Self.count), size: 5))
    var kept: [(Batch, [Float])] = []
    while let batch = try epoch.next() { kept.append((batch, Array(batch.inputs))) }
    #expect(kept.count == 10 && kept.allSatisfy { Array($0.inputs) == $1 })
    #expect(try kept[3].0.tensor().floats() == kept[3].1)
  }

  @Test func stoppingEarlyEndsTheThreads() throws {
    let loader = try BatchLoader(pictures(), #require(recipe), threads: 3, prefetch: 2)
    for taken in 0..<4 {
      let epoch = try loader.batches(epoch: 0, SampleOrder.batches(Array(0..<Self.count), size: 5))
      for _ in 0..<taken { #expect(try epoch.next() != nil) }
      if taken % 2 == 0 {
        epoch.stop()
        #expect(try epoch.next() == nil)
      }
    }
  }

  @Test func anErrorNamesFileAndBatch() throws {
    let folder = try TemporaryFolder()
    for name in ["a/1.png", "a/2.png", "a/3.png", "b/1.png"] {
      try FolderMaker.make(folder[name])
      try ImageFile(pixels: picture(5, 4, 3)).write(to: folder[name])
    }
    try folder.write("no picture", to: "a/3.png")
    let set = try ClassificationSet(imageFolder: folder.path)
    let loader = try BatchLoader(set, #require(recipe), threads: 2)
    let epoch = try loader.batches(epoch: 0, [[0], [1, 3], [0, 2], [1]])
    #expect(try epoch.next()?.labels == [0])
    #expect(try epoch.next()?.labels == [0, 1])
    #expect(
      refusal { _ = try epoch.next() }
        == "\(folder["a/3.png"].string): batch 2: is neither a PNG nor a JPEG picture")
    #expect(try epoch.next() == nil)
  }

  @Test func picturesAreKept() throws {
    let folder = try TemporaryFolder()
    try FolderMaker.make(folder["a/1.png"])
    try ImageFile(pixels: picture(9, 8, 3)).write(to: folder["a/1.png"])
    let set = try ClassificationSet(imageFolder: folder.path)
    let (keeping, other) = (
      try BatchLoader(set, #require(recipe)), try BatchLoader(set, #require(recipe), cachedBytes: 215)
    )
    for loader in [keeping, other] { #expect(try loader.batches(epoch: 0, [[0]]).next() != nil) }
    try folder.write("no picture", to: "a/1.png")
    #expect(try keeping.batches(epoch: 1, [[0]]).next() != nil)
    #expect(refusal { _ = try other.batches(epoch: 1, [[0]]) }?.contains("neither a PNG") == true)
  }

  @Test func refusals() throws {
    let set = try pictures()
    let recipe = try #require(recipe)
    #expect(refusal { _ = try BatchLoader(set, recipe, threads: 0) } != nil)
    #expect(refusal { _ = try BatchLoader(set, recipe, prefetch: 0) } != nil)
    let loader = try BatchLoader(set, recipe)
    #expect(refusal { _ = try loader.batches(epoch: 0, [[0], []]) }?.contains("batch 1 is empty") == true)
    #expect(refusal { _ = try loader.batches(epoch: 0, [[50]]) }?.contains("beyond the 50") == true)
    #expect(try loader.batches(epoch: 0, []).next() == nil)
  }
}
