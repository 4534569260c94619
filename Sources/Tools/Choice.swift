import ArgumentParser

/// One of a few words on the command line, in capitals or not.
public protocol Choice: CaseIterable, ExpressibleByArgument, RawRepresentable where RawValue == String {}

extension Choice {
  public init?(argument: String) {
    let word = argument.lowercased()
    guard let known = Self.allCases.first(where: { $0.rawValue.lowercased() == word }) else { return nil }
    self = known
  }
}
