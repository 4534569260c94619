/// The version of the library and of the command.
public let modelUtilsVersion = "0.1.0"
