import ModelCore
import ModelRandom

/// The order in which an epoch goes through a set, as torch makes it without workers.
public enum SampleOrder {
  /// `DataLoader(shuffle=True)`: an epoch's iterator draws a number that nobody uses from torch's global generator, then
  /// the seed of a permutation.
  /// - Parameter generator: the global generator; what else draws from it counts.
  /// - Throws: `ModelError` for a count that memory cannot hold.
  public static func shuffled(_ count: Int, drawing generator: inout TorchGenerator) throws -> [Int] {
    skipBaseSeed(of: &generator)
    return try continued(count, drawing: &generator)
  }

  /// `DataLoader(shuffle=True, generator=g)`: the permutation itself is drawn from the generator, after a number that
  /// nobody uses. At the end of an epoch torch draws another permutation and takes nothing of it.
  public static func shuffled(_ count: Int, from generator: inout TorchGenerator) throws -> [Int] {
    skipBaseSeed(of: &generator)
    let order = try permutation(count, &generator)
    _ = try permutation(count, &generator)
    return order
  }

  /// The next epoch of a loader whose iterator lives for the whole run, as YOLOv5's and YOLOv6's do: before the first
  /// epoch `skipBaseSeed` stands for making it.
  public static func continued(_ count: Int, drawing generator: inout TorchGenerator) throws -> [Int] {
    // The low 32 bits, which are drawn second, are the seed.
    _ = generator.next32()
    var own = TorchGenerator(seed: UInt64(generator.next32()))
    return try permutation(count, &own)
  }

  /// What making a `DataLoader`'s iterator draws.
  public static func skipBaseSeed(of generator: inout TorchGenerator) {
    for _ in 0..<2 { _ = generator.next32() }
  }

  /// `DistributedSampler`: the samples of one of several ranks. A generator seeded with seed + epoch shuffles for all;
  /// the list is filled up from its own start to a multiple of the ranks, or cut to one; a rank takes every so manyth.
  /// - Throws: `ModelError` for no samples, and a rank that is none.
  public static func distributed(
    _ count: Int, rank: Int, of ranks: Int, epoch: Int, seed: UInt64 = 0, shuffles: Bool = true, dropLast: Bool = false
  ) throws -> [Int] {
    guard ranks > 0, (0..<ranks).contains(rank), epoch >= 0 else {
      throw ModelError(.invalid, "there is no rank \(rank) of \(ranks) in epoch \(epoch)")
    }
    guard count > 0 else { throw ModelError(.missing, "there are no samples") }
    var indices = Array(0..<count)
    if shuffles {
      var generator = TorchGenerator(seed: seed &+ UInt64(epoch))
      indices = try permutation(count, &generator)
    }
    let share = dropLast ? count / ranks : (count + ranks - 1) / ranks
    return (0..<share).map { indices[($0 * ranks + rank) % count] }
  }

  /// Batches of an order; the last one has what is left, unless it is dropped.
  /// - Throws: `ModelError` for a size that is not above 0.
  public static func batches(_ order: [Int], size: Int, dropLast: Bool = false) throws -> [[Int]] {
    guard size > 0 else { throw ModelError(.invalid, "a batch cannot have \(size) samples") }
    let end = dropLast ? order.count / size * size : order.count
    return stride(from: 0, to: end, by: size).map { Array(order[$0..<min($0 + size, end)]) }
  }

  private static func permutation(_ count: Int, _ generator: inout TorchGenerator) throws -> [Int] {
    try generator.permutation(count).elements(of: Int.self)
  }
}
