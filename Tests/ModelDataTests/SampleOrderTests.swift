import ModelData
import ModelRandom
import TestSupport
import Testing

@Suite struct SampleOrderTests {
  let goldens: [String: Any]
  init() throws { goldens = try golden("orders.json") }

  @Test func loadersAsTorch() throws {
    for item in try #require(goldens["loaders"] as? [[String: Any]]) {
      var generator = TorchGenerator(seed: UInt64(try #require(item["seed"] as? Int)))
      for epoch in try #require(item["epochs"] as? [[[Int]]]) {
        let order = try SampleOrder.shuffled(#require(item["count"] as? Int), drawing: &generator)
        #expect(try SampleOrder.batches(order, size: 4) == epoch)
      }
    }
  }

  @Test func generatorsAsTorch() throws {
    for item in try #require(goldens["generators"] as? [[String: Any]]) {
      var generator = TorchGenerator(seed: UInt64(try #require(item["seed"] as? Int)))
      for epoch in try #require(item["epochs"] as? [[[Int]]]) {
        let order = try SampleOrder.shuffled(#require(item["count"] as? Int), from: &generator)
        #expect(try SampleOrder.batches(order, size: 4, dropLast: true) == epoch)
      }
    }
  }

  @Test func ranksAsTorch() throws {
    let items = try #require(goldens["ranks"] as? [[String: Any]])
    #expect(items.count == 56)
    for item in items {
      let order = try SampleOrder.distributed(
        #require(item["count"] as? Int), rank: #require(item["rank"] as? Int), of: #require(item["world"] as? Int),
        epoch: 2, seed: 3, shuffles: #require(item["shuffle"] as? Bool), dropLast: #require(item["drop"] as? Bool))
      #expect(order == item["samples"] as? [Int], "\(item)")
    }
  }

  /// As in YOLOv5 and YOLOv6.
  @Test func oneIteratorForAllEpochs() throws {
    var (generator, other) = (TorchGenerator(seed: 5), TorchGenerator(seed: 5))
    SampleOrder.skipBaseSeed(of: &generator)
    #expect(try SampleOrder.continued(10, drawing: &generator) == SampleOrder.shuffled(10, drawing: &other))
    #expect(try SampleOrder.continued(10, drawing: &generator) != SampleOrder.shuffled(10, drawing: &other))
  }

  @Test func refusals() {
    #expect(refusal { _ = try SampleOrder.batches([1], size: 0) } == "a batch cannot have 0 samples")
    #expect(refusal { _ = try SampleOrder.distributed(3, rank: 2, of: 2, epoch: 0) } != nil)
    #expect(refusal { _ = try SampleOrder.distributed(0, rank: 0, of: 2, epoch: 0) } != nil)
  }
}
